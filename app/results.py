"""The result contract: from how a job ended and what it said of itself to its outcome; pure.

When a job is launched, and what several outcomes come to, stands in `app.running`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from app.engines.contract import RESULT_BYTES, Ended, Output
from app.events import Outcome, Result, Status, errored
from app.jobconfig.schema import Logs, OnFailure, Task

TAIL_CHARACTERS = 40 * 1024
"""How much of a task's output stands in the answer; an event has room for 48 KiB in all."""

BADNESS: tuple[Result, ...] = ("fail", "warning", "pass")
"""The results, the worst one first."""

_MARK = "::keptn-result"
_MARKED = re.compile(rf"^{_MARK} (.*)$".encode(), re.MULTILINE)
_ALLOWED = (
    'allowed is a JSON object with "result" (pass, warning or fail), "message" (a text) and "data"'
    f" (an object), each optional, of at most {RESULT_BYTES} bytes"
)
_FAILED: Mapping[OnFailure, tuple[Status, Result]] = {
    "errored": ("errored", "fail"),
    "fail": ("succeeded", "fail"),
    "warning": ("succeeded", "warning"),
    "continue": ("succeeded", "pass"),
}
"""What an exit code other than 0 comes to."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """What the operator decides for tasks whose file does not; `deadline` is in seconds, 0 none."""

    on_failure: OnFailure = "errored"
    logs: Logs = "always"
    deadline: int = 0

    def fill(self, task: Task) -> Task:
        """The task with nothing left open."""
        told, logs = task.on_failure or self.on_failure, task.logs or self.logs
        whole = task.active_deadline_seconds or self.deadline or None
        given = {"on_failure": told, "logs": logs, "active_deadline_seconds": whole}
        return task.model_copy(update=given)


@dataclass(frozen=True, slots=True)
class Limit:
    """How many seconds an attempt has, and how that is told to people."""

    seconds: float
    words: str


class Report(BaseModel):
    """What a job says of itself."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    result: Result = "pass"
    message: str = ""
    data: Mapping[str, JsonValue] = Field(default_factory=dict)


def judge(task: Task, ended: Ended, output: Output, limit: Limit) -> Outcome:
    """The outcome of one attempt at a task with no default left open.

    What the job reports counts if it ended by itself: it may worsen the result that its exit code
    stands for, never better it. `reason` is set where the work failed, also if `onFailure` lets
    that pass.
    """
    output, end = whole_lines(output), _end(task, ended, limit)
    try:
        report = _report(ended, output)
    except ValueError as error:
        return errored("run", _message(task, f"{end}, but {error}; {_ALLOWED}", output))
    outcome = _by_exit(task, ended)
    result = min(outcome.result, report.result, key=BADNESS.index)
    if ended.passed and result != "pass":
        end = f"finished with the result {result}"
    hidden = task.logs == "onFailure" and ended.passed and result == "pass"
    words = f"{end}\n\n{report.message}" if report.message else end
    message = _message(task, words, None if hidden else output)
    return replace(outcome, result=result, message=message, data=report.data)


def whole_lines(output: Output) -> Output:
    """The same without the halves of lines around what is missing: no mask fits half a secret."""
    if not output.missing:
        return output
    head = output.head[: output.head.rfind(b"\n") + 1 or None]
    tail = output.tail[output.tail.find(b"\n", 0, -1) + 1 :]
    return Output(head, output.total - len(head) - len(tail), tail)


def _by_exit(task: Task, ended: Ended) -> Outcome:
    if ended.passed:
        return Outcome("succeeded", "pass")
    if ended.cause != "run":  # the work was not done: nothing softens that
        return errored(ended.cause, "")
    return Outcome(*_FAILED[task.on_failure or "errored"], reason="run")


def _end(task: Task, ended: Ended, limit: Limit) -> str:
    if ended.passed:
        return "finished successfully!"
    words = {
        "run": f"failed with exit code {ended.code}",
        "timeout": f"was ended at its deadline of {limit.words}",
        "create": "could not be created",
        "start": "could not be started",
    }.get(ended.cause, f"was {ended.cause}")
    detail = f": {ended.detail}" if ended.detail else ""
    lenient = ended.cause == "run" and task.on_failure not in (None, "errored")
    return f"{words}{detail}{f' (onFailure: {task.on_failure})' if lenient else ''}"


def _message(task: Task, words: str, output: Output | None) -> str:
    logs = "" if output is None or task.logs == "never" else f"Logs:\n{_tail(output.text())}\n\n"
    return f"Task '{task.name}' {words}\n\n{logs}"


def _tail(text: str) -> str:
    """The end of the output, from the beginning of a line if there is one, for the masks' sake."""
    cut = len(text) - TAIL_CHARACTERS
    if cut <= 0:
        return text
    cut = text.find("\n", cut - 1, -1) + 1 or cut
    return f"[... {cut} characters cut ...]\n{text[cut:]}"


def _report(ended: Ended, output: Output) -> Report:
    """What stands in the result file, or else in the last marked line of the output.

    Raises:
        ValueError: it cannot be used; the text says where it stands and what is wrong.
    """
    in_file = bool(ended.result.strip())
    raw = ended.result if in_file else _marked(output)
    place = "its result file" if in_file else f"its last line that begins with {_MARK}"
    if raw is None or ended.cause != "run":
        return Report()
    if len(raw) > RESULT_BYTES:
        raise ValueError(f"{place} is too large")
    try:
        report = Report.model_validate_json(raw)
        json.dumps(json.loads(raw, parse_int=float), allow_nan=False)  # Keptn has no larger numbers
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = "".join(f"{part}: " for part in first["loc"])
        raise ValueError(f"{place} cannot be used: {key}{first['msg']}") from None
    except ValueError:
        raise ValueError(f"{place} cannot be used: it has a number that is out of range") from None
    return report


def _marked(output: Output) -> bytes | None:
    for part in (output.tail, output.head) if output.missing else (output.head + output.tail,):
        if found := _MARKED.findall(part):
            return bytes(found[-1])
    return None
