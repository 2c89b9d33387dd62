"""The result contract: exit codes, `onFailure`, what a job says of itself, and what is told."""

import json
from typing import Any

import pytest

from app.engines.contract import RESULT_BYTES, Ended, Output
from app.engines.spool import HEAD_BYTES
from app.events.build import Outcome
from app.jobconfig.schema import Task
from app.results import TAIL_CHARACTERS, Defaults, Limit, judge, whole_lines

WORDS = ("errored", "fail", "warning", "continue")
RESULTS = ("pass", "warning", "fail")
LIMIT = Limit(60.0, "60 s (maxPollDuration)")


def outcome(
    ended: Ended | None = None, printed: bytes | Output = b"said\n", **task: Any
) -> Outcome:
    """What comes of a job that ended so, for a task with these keys."""
    output = printed if isinstance(printed, Output) else Output(printed, 0, b"")
    given = Defaults().fill(Task(name="Do", **task))
    return judge(given, ended or Ended(0), output, LIMIT)


def reported(report: Any, code: int = 0, **task: Any) -> Outcome:
    """What comes of a job that wrote this report to its file."""
    text = report if isinstance(report, bytes) else json.dumps(report).encode()
    return outcome(Ended(code, result=text), **task)


def test_exit_code_0_passes() -> None:
    assert outcome() == Outcome(
        "succeeded", "pass", "Task 'Do' finished successfully!\n\nLogs:\nsaid\n\n\n"
    )


@pytest.mark.parametrize(
    ("word", "status", "result", "told"),
    [
        ("errored", "errored", "fail", "Task 'Do' failed with exit code 3\n"),
        ("fail", "succeeded", "fail", "Task 'Do' failed with exit code 3 (onFailure: fail)\n"),
        ("warning", "succeeded", "warning", "failed with exit code 3 (onFailure: warning)\n"),
        ("continue", "succeeded", "pass", "failed with exit code 3 (onFailure: continue)\n"),
    ],
)
def test_any_other_exit_code_is_what_on_failure_says(
    word: str, status: str, result: str, told: str
) -> None:
    ended = outcome(Ended(3), onFailure=word)
    assert (ended.status, ended.result, ended.reason) == (status, result, "run")
    assert told in ended.message


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("cause", ["create", "start", "timeout", "interrupted", "cancelled"])
def test_work_that_was_not_done_is_errored_whatever_on_failure_says(cause: str, word: str) -> None:
    report = b'{"result": "pass", "message": "half-way"}'
    ended = outcome(Ended(None, cause, "details", report), onFailure=word)
    assert (ended.status, ended.result, ended.reason) == ("errored", "fail", cause)
    assert ": details\n" in ended.message
    assert "half-way" not in ended.message
    assert "exit code" not in ended.message
    assert "creating" not in ended.message


def test_a_timeout_names_the_limit() -> None:
    assert (
        "was ended at its deadline of 60 s (maxPollDuration)"
        in outcome(Ended(None, "timeout")).message
    )


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("said", RESULTS)
@pytest.mark.parametrize("code", [0, 3])
def test_a_report_may_worsen_the_result_and_never_better_it(
    code: int, said: str, word: str
) -> None:
    plain = outcome(Ended(code), onFailure=word)
    told = reported({"result": said}, code, onFailure=word)
    worst = max(plain.result, said, key=RESULTS.index)
    assert (told.status, told.result, told.reason) == (plain.status, worst, plain.reason)


def test_a_report_that_worsens_an_exit_code_0_is_told() -> None:
    ended = reported({"result": "warning", "message": "two of nine were slow"})
    assert ended.message.startswith(
        "Task 'Do' finished with the result warning\n\ntwo of nine were slow\n\nLogs:\n"
    )


def test_data_is_handed_on_also_of_a_job_that_failed() -> None:
    data = {"throughput": 12.5, "nested": {"list": [1, None, True, "x"]}}
    assert reported({"data": data}).data == data
    assert reported({"data": data}, 1).data == data


@pytest.mark.parametrize(
    "printed",
    [
        b'::keptn-result {"message": "first"}\n::keptn-result {"message": "last"}\nmore\n',
        b'::keptn-result {"message": "last"}\r\n',
        b'no line end ::keptn-result {\n::keptn-result {"message": "last"}',
        Output(b"::keptn-result {\n", 99, b'cut\n::keptn-result {"message": "last"}\n'),
        Output(b'::keptn-result {"message": "last"}\n::keptn-result {"mess', 99, b"age\nend\n"),
    ],
    ids=["the last of two", "carriage return", "no line end", "in the tail", "in the head"],
)
def test_the_last_marked_line_of_the_output_is_the_report(printed: bytes | Output) -> None:
    assert outcome(printed=printed).message.startswith(
        "Task 'Do' finished successfully!\n\nlast\n\n"
    )


def test_the_file_comes_before_the_line() -> None:
    line = b'::keptn-result {"result": "fail"}\n'
    assert outcome(Ended(0, result=b'{"result": "warning"}'), line).result == "warning"
    assert outcome(Ended(0, result=b" \n"), line).result == "fail"


@pytest.mark.parametrize(
    ("report", "what"),
    [
        (b"{", "its result file cannot be used: Invalid JSON: EOF"),
        (b"all is well", "Invalid JSON: expected value at line 1 column 1"),
        (b"[]", "Input should be an object"),
        (b"\xff", "Invalid JSON"),
        (b'{"data": {"a": "\\ud800"}}', "Invalid JSON"),
        (b'{"data": ' + b"[" * 2000 + b"]" * 2000 + b"}", "Invalid JSON: recursion limit"),
        (b'{"data": {"a": NaN}}', "it has a number that is out of range"),
        (b'{"data": {"a": 1e999}}', "it has a number that is out of range"),
        (b'{"data": {"a": 1' + b"0" * 400 + b"}}", "it has a number that is out of range"),
        ({"result": "failed"}, "result: Input should be 'pass', 'warning' or 'fail'"),
        ({"result": None}, "result: Input should be"),
        ({"message": 5}, "message: Input should be a valid string"),
        ({"data": "x"}, "data: Input should be"),
        ({"status": "succeeded"}, "status: Extra inputs are not permitted"),
        (b'{"message": "' + b"x" * RESULT_BYTES + b'"}', "its result file is too large"),
    ],
)
@pytest.mark.parametrize("code", [0, 1])
def test_a_report_that_cannot_be_used_is_errored_and_says_where_and_what_is_allowed(
    report: Any, what: str, code: int
) -> None:
    ended = reported(report, code, onFailure="continue", logs="never")
    assert (ended.status, ended.result, ended.reason) == ("errored", "fail", "run")
    assert what in ended.message
    assert '"result" (pass, warning or fail), "message" (a text) and "data"' in ended.message


def test_a_marked_line_that_cannot_be_used_is_named() -> None:
    ended = outcome(printed=b"::keptn-result \n")
    assert ended.status == "errored"
    assert "its last line that begins with ::keptn-result cannot be used" in ended.message


@pytest.mark.parametrize(
    ("logs", "passed", "failed"),
    [("always", True, True), ("onFailure", False, True), ("never", False, False)],
)
def test_logs_decides_whether_the_output_is_told(logs: str, passed: bool, failed: bool) -> None:
    assert ("Logs:\nsaid" in outcome(logs=logs).message) == passed
    for ended in (Ended(1), Ended(None, "timeout"), Ended(0, result=b'{"result": "warning"}')):
        assert ("Logs:\nsaid" in outcome(ended, logs=logs).message) == failed
    assert ("Logs:\nsaid" in outcome(Ended(1), logs=logs, onFailure="continue").message) == failed


def test_long_output_is_told_from_the_beginning_of_a_line() -> None:
    lines = b"".join(b"line %d\n" % number for number in range(20_000))
    message = outcome(printed=lines).message
    told = message.partition(" characters cut ...]\n")[2]
    assert told.startswith("line ")
    assert TAIL_CHARACTERS - 12 < len(told.strip()) <= TAIL_CHARACTERS


def test_a_single_endless_line_is_cut_anywhere() -> None:
    message = outcome(printed=b"x" * 100_000 + b"\n").message
    assert message.count("x") == TAIL_CHARACTERS - 1


@pytest.mark.parametrize(
    ("output", "whole"),
    [
        (Output(b"a\nb", 0, b"c\n"), Output(b"a\nb", 0, b"c\n")),
        (Output(b"a\nb", 9, b"c\nd\n"), Output(b"a\n", 12, b"d\n")),
        (Output(b"ab", 9, b"cd"), Output(b"ab", 9, b"cd")),
        (Output(b"ab", 9, b"cd\n"), Output(b"ab", 9, b"cd\n")),
    ],
)
def test_no_half_lines_stand_around_what_is_missing(output: Output, whole: Output) -> None:
    assert whole_lines(output) == whole
    assert whole.total == output.total


def test_the_operators_defaults_hold_where_the_task_says_nothing() -> None:
    defaults = Defaults("warning", "never", 90)
    filled = defaults.fill(Task(name="Do"))
    assert (filled.on_failure, filled.logs, filled.active_deadline_seconds) == (
        *("warning", "never"),
        90,
    )
    own = Task(name="Do", onFailure="fail", logs="always", activeDeadlineSeconds=5)
    assert defaults.fill(own) == own
    assert Defaults().fill(Task(name="Do")).active_deadline_seconds is None


def test_the_head_of_the_output_counts_as_well() -> None:
    head = b'::keptn-result {"result": "fail"}\n'.ljust(HEAD_BYTES, b".")
    assert outcome(printed=Output(head, 10**8, b"...\n")).result == "fail"
