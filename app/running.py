"""Doing a pinned plan: action by action, task by task, each launched at most once.

When a run may start, and how many at a time, is decided in `app.worker`.
"""

import json
from dataclasses import dataclass, replace

from app.core import Core
from app.engines.contract import Ended, Engine
from app.errors import Permanent
from app.events import parse
from app.events.build import Outcome, Result, Status, errored
from app.events.parse import Event
from app.jobconfig.read import Action, Task
from app.ledger import rows
from app.ledger.rows import Run, TaskRow
from app.naming import launch_key
from app.planning import Plan
from app.tasks import image

TAIL_CHARACTERS = 40 * 1024
"""How much of a task's output stands in the answer; an event has room for 48 KiB in all."""


class Stopping(Exception):
    """No error: the service ends, nothing new may be launched, and the run goes on later."""


@dataclass(slots=True)
class Errand:
    """A run under way in this process: `current` is the key that is waited for."""

    run: Run
    plan: Plan
    event: Event
    done: dict[tuple[int, int], TaskRow]
    current: str = ""
    cancelled: str = ""


class Runner:
    """Does plans on an engine."""

    def __init__(self, engine: Engine, core: Core) -> None:
        self._engine = engine
        self._core = core
        self._ledger = core.ledger
        self._lifecycle = core.lifecycle
        self._clock = core.clock
        self.stopping = False

    def begin(self, run: Run) -> Errand:
        """Take up a run where the ledger left it."""
        done = {(row.action, row.task): row for row in rows.tasks(self._ledger.reader, run.id)}
        return Errand(run, Plan.load(run.plan or ""), parse.restore(run.event), done)

    async def perform(self, errand: Errand) -> None:
        """All matching actions in file order, then the answer.

        Raises:
            Stopping: the service ends; what was launched goes on.
        """
        config = errand.plan.read()
        outcomes = {
            index: await self._act(errand, index, config.actions[index])
            for index in errand.plan.actions
        }
        counted = [one for index, one in outcomes.items() if not config.actions[index].silent]
        outcome = worst(counted or list(outcomes.values()))
        outcome = _noted(outcome, self._unheeded([config.actions[i] for i in outcomes]))
        await self._lifecycle.answer(errand.run, outcome, answered=errand.plan.answered)
        self._core.metrics.answered.labels(outcome.status, outcome.result, outcome.reason).inc()
        for row in rows.tasks(self._ledger.reader, errand.run.id):
            self._engine.clear(row.key)

    async def cancel(self, errand: Errand, reason: str) -> None:
        """End what runs for it, and launch nothing more."""
        errand.cancelled = reason
        if errand.current:
            await self._engine.cancel(errand.current)

    async def _act(self, errand: Errand, index: int, action: Action) -> Outcome:
        """One action: its tasks in order, up to the first that fails."""
        ended: list[Outcome] = []
        for number, task in enumerate(action.tasks):
            ended.append(await self._do(errand, (index, number), task))
            if ended[-1].status != "succeeded":
                break
        return worst(ended)

    async def _do(self, errand: Errand, place: tuple[int, int], task: Task) -> Outcome:
        """One task: its saved outcome, its end if it was launched before, else a launch."""
        row = errand.done.get(place)
        if row and row.outcome:
            return Outcome(**json.loads(row.outcome))
        key = errand.current = launch_key(errand.run.event_id, place)
        if row:
            outcome = await self._rejoin(row, task)
        elif self.stopping:
            raise Stopping
        elif errand.cancelled:
            return errored("cancelled", f"Task '{task.name}' was not launched: {errand.cancelled}")
        else:
            await self._lifecycle.launch(errand.run, place, key, task.name)
            outcome = await self._launch(errand, key, task)
        await self._lifecycle.end_task(errand.run, place, outcome)
        errand.current = ""
        return outcome

    async def _launch(self, errand: Errand, key: str, task: Task) -> Outcome:
        begun = self._clock.tick()
        try:
            work = image.work(task, errand.event)
            ended = await self._engine.launch(key, work)
        except Permanent as error:
            return errored("config", f"Task '{task.name}' cannot run: {error}")
        self._core.metrics.task_seconds.observe(self._clock.tick() - begun)
        return self._judge(task, key, ended)

    async def _rejoin(self, row: TaskRow, task: Task) -> Outcome:
        """Wait for a task of an earlier process; a second launch is out of the question."""
        ended = await self._engine.attach(row.key)
        lost = Ended(None, "interrupted", "a restart found nothing of it; it is not run twice")
        return self._judge(task, row.key, ended or lost)

    def _judge(self, task: Task, key: str, ended: Ended) -> Outcome:
        logs = _tail(self._engine.logs(key).text())
        if ended.passed:
            text = f"Task '{task.name}' finished successfully!\n\nLogs:\n{logs}\n\n"
            return Outcome("succeeded", "pass", text)
        causes = {
            "run": f"failed with exit code {ended.code}",
            "start": "could not be started",
            "timeout": f"was ended at its deadline of {_deadline(task)} s (maxPollDuration)",
            "cancelled": "was cancelled",
            "interrupted": "was interrupted",
        }
        detail = f": {ended.detail}" if ended.detail else ""
        text = f"Task '{task.name}' {causes[ended.cause]}{detail}\n\nLogs:\n{logs}\n\n"
        return errored(ended.cause, text)

    def _unheeded(self, actions: list[Action]) -> list[str]:
        """The keys of the file that have no effect on this engine."""
        tasks = [task for action in actions for task in action.tasks]
        used = {key for task in tasks for key in task.model_dump(by_alias=True, exclude_unset=True)}
        return sorted(used & self._engine.without_effect)


def worst(outcomes: list[Outcome]) -> Outcome:
    """One outcome for several: errored before succeeded, fail before warning before pass."""
    if not outcomes:
        return Outcome("succeeded", "pass")
    statuses: tuple[Status, ...] = ("errored", "unknown", "succeeded")
    results: tuple[Result, ...] = ("fail", "warning", "pass")
    message = "".join(one.message for one in outcomes)
    status = min((one.status for one in outcomes), key=statuses.index)
    result = min((one.result for one in outcomes), key=results.index)
    reason = next((one.reason for one in outcomes if one.reason), "")
    data = {key: value for one in outcomes for key, value in one.data.items()}
    return Outcome(status, result, message, reason, data)


def _noted(outcome: Outcome, unheeded: list[str]) -> Outcome:
    if not unheeded:
        return outcome
    note = f"Without effect on this engine: {', '.join(unheeded)}\n"
    return replace(outcome, message=outcome.message + note)


def _deadline(task: Task) -> int:
    return image.DEFAULT_SECONDS if task.max_poll_duration is None else task.max_poll_duration


def _tail(text: str) -> str:
    cut = len(text) - TAIL_CHARACTERS
    return text if cut <= 0 else f"[... {cut} characters cut ...]\n{text[cut:]}"
