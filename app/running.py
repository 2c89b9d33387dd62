"""Doing a pinned plan: action by action, task by task, each attempt launched at most once.

When a run may start, and how many at a time, is decided in `app.worker`; what an end comes to, in
`app.results`.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from app.core import Core
from app.engines.contract import Ended, Engine, Origin
from app.errors import Permanent
from app.events import Event, Outcome, Status, build, errored, parse
from app.jobconfig.read import Action, JobConfig, Task
from app.ledger import Run, TaskRow, rows
from app.naming import Place, launch_key
from app.planning import Plan
from app.results import BADNESS, Defaults, Limit, judge
from app.tasks import image
from app.tasks.image import Supplies

RETRIED = ("create", "start", "run", "timeout", "interrupted")
"""The reasons for which a task that asks for retries is launched again."""

_STATUSES: tuple[Status, ...] = ("errored", "unknown", "succeeded")
_WHOLE_TASK = "activeDeadlineSeconds, or TASK_DEADLINE_SECONDS of the operator"

FIRST_PAUSE, LONGEST_PAUSE = 10.0, 360.0
"""Seconds from the end of an attempt to the next, doubling from the first: those of Kubernetes."""


LONG_SECONDS = 30.0
"""The age from which a run tells of its progress."""


class Stopping(Exception):
    """No error: the service ends, nothing new may be launched, and the run goes on later."""


@dataclass(slots=True)
class Errand:
    """A run under way in this process: `current` is the key that is waited for."""

    run: Run
    plan: Plan
    event: Event
    config: JobConfig
    done: dict[Place, TaskRow]
    current: str = ""
    cancelled: str = ""


@dataclass(eq=False)
class Runner:
    """Does plans on an engine; nothing new is launched while it is `stopping`."""

    engine: Engine
    core: Core
    supplies: Supplies
    defaults: Defaults = field(default_factory=Defaults)
    stopping: bool = False

    def begin(self, run: Run) -> Errand:
        """Take up a run where the ledger left it."""
        done = {row.place: row for row in rows.tasks(self.core.ledger.reader, run.id)}
        plan = Plan.load(run.plan or "")
        return Errand(run, plan, parse.restore(run.event), plan.read(), done)

    async def perform(self, errand: Errand) -> None:
        """All matching actions in file order, then the answer.

        Raises:
            Stopping: the service ends; what was launched goes on.
        """
        config, outcomes = errand.config, dict[int, Outcome]()
        for index in errand.plan.actions:
            outcomes[index] = await self._act(errand, index, config.actions[index])
        counted = [index for index in outcomes if not config.actions[index].silent] or [*outcomes]
        outcome = worst([outcomes[index] for index in counted])
        notes = self._notes(config, errand.plan.actions)
        data = {**_times(errand, counted), **outcome.data}
        outcome = replace(outcome, message=outcome.message + notes, data=data)
        await self.core.lifecycle.answer(errand.run, outcome, answered=errand.plan.answered)
        self.core.metrics.answered.labels(outcome.status, outcome.result, outcome.reason).inc()
        self._trace("run", errand.run, errand.run.received, outcome)
        for row in errand.done.values():
            self.engine.clear(row.key)

    async def cancel(self, errand: Errand, reason: str) -> None:
        """End what runs for it, and launch nothing more."""
        errand.cancelled = reason
        if errand.current:
            await self.engine.cancel(errand.current)

    async def _act(self, errand: Errand, index: int, action: Action) -> Outcome:
        """One action: its tasks in order, up to the first that fails."""
        ended: list[Outcome] = []
        for number, task in enumerate(action.tasks):
            place = Place(index, number)
            ended.append(await self._do(errand, place, self.defaults.fill(task)))
            if ended[-1].result == "fail":
                break
        return worst(ended)

    async def _do(self, errand: Errand, place: Place, task: Task) -> Outcome:
        """One task: attempts up to the first that is good or final; the last outcome counts."""
        ended: list[Outcome] = []
        for number in range(task.retries + 1):
            place = place._replace(attempt=number)
            if number and not await self._pause(errand, place, task, ended[-1].reason):
                break
            ended.append(await self._attempt(errand, place, task))
            if ended[-1].reason not in RETRIED:
                break
        return _told(task, ended)

    async def _pause(self, errand: Errand, place: Place, task: Task, reason: str) -> bool:
        """Wait until another attempt is due; False when the task's time ends before."""
        if place in errand.done:
            return True
        first, last = (errand.done[place._replace(attempt=n)] for n in (0, place.attempt - 1))
        now, whole = self.core.clock.now(), task.active_deadline_seconds
        pause = min(FIRST_PAUSE * 2.0 ** (place.attempt - 1), LONGEST_PAUSE)
        due = (last.ended or now) + pause
        if whole is not None and due - first.launched >= whole:
            return False
        words = f"Task '{task.name}' is tried again, because it ended: {reason}"
        await self.core.lifecycle.tell(errand.run, words)
        until = self.core.clock.tick() + min(pause, due - now)  # whatever becomes of the wall clock
        while (left := until - self.core.clock.tick()) > 0 and not errand.cancelled:
            if self.stopping:
                raise Stopping
            await self.core.clock.sleep(min(left, 1.0))
        self.core.metrics.retried.labels(reason).inc()
        return True

    async def _attempt(self, errand: Errand, place: Place, task: Task) -> Outcome:
        """One attempt: its saved outcome, its end if it was launched before, else a launch."""
        row = errand.done.get(place)
        if row and row.outcome:
            return Outcome(**json.loads(row.outcome))
        errand.current = launch_key(errand.run.event_id, place)
        if row:
            outcome = await self._rejoin(errand, row, task)
        elif self.stopping:
            raise Stopping
        elif errand.cancelled:
            return _cancelled(task, errand)
        else:
            outcome = await self._launch(errand, place, task)
        errand.current = ""
        if row := errand.done.get(place):
            errand.done[place] = await self.core.lifecycle.end_task(row, outcome)
            self._trace("task", errand.run, row.launched, outcome, task=task.name)
        return outcome

    async def _launch(self, errand: Errand, place: Place, task: Task) -> Outcome:
        key = errand.current
        try:
            # May take minutes while Keptn is away; a restart meanwhile begins it anew.
            origin = _origin(errand, place, task)
            work = await image.work(task, errand.event, origin, self.supplies)
            if self.stopping:
                raise Stopping
            if errand.cancelled:
                return _cancelled(task, errand)
            row = await self.core.lifecycle.launch(errand.run, place, key, task.name)
            errand.done[place] = row
            if row.launched - errand.run.received > LONG_SECONDS:
                await self.core.lifecycle.tell(errand.run, f"Task '{task.name}' was launched")
            begun, limit = self.core.clock.tick(), _limit(errand, row, task)
            ended = await self.engine.launch(key, replace(work, deadline=limit.seconds))
        except Permanent as error:
            return errored("config", f"Task '{task.name}' cannot run: {error}\n\n")
        self.core.metrics.task_seconds.observe(self.core.clock.tick() - begun)
        return judge(task, ended, self.engine.logs(key), limit)

    async def _rejoin(self, errand: Errand, row: TaskRow, task: Task) -> Outcome:
        """Wait for an attempt of an earlier process; to launch it again is out of the question."""
        ended = await self.engine.attach(row.key)
        lost = Ended(None, "interrupted", "a restart found nothing of it; it is not run twice")
        output, limit = self.engine.logs(row.key), _limit(errand, row, task)
        return judge(task, ended or lost, output, limit)

    def _trace(self, name: str, run: Run, began: float, outcome: Outcome, **more: str) -> None:
        words = {"status": outcome.status, "result": outcome.result, "reason": outcome.reason}
        self.core.tracer.ended(name, run, began, self.core.clock.now(), **more, **words)

    def _notes(self, config: JobConfig, actions: tuple[int, ...]) -> str:
        """What else the author of the file should hear of."""
        tasks = [task for index in actions for task in config.actions[index].tasks]
        used = [task.model_dump(by_alias=True, exclude_unset=True) for task in tasks]
        unheeded = sorted({*chain.from_iterable(map(_keys, used))} & self.engine.without_effect)
        note = f"Without effect on this engine: {', '.join(unheeded)}\n" if unheeded else ""
        old = f"The job config has an old format, {config.upgraded}\n" if config.upgraded else ""
        return note + old


def _keys(part: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """The keys of a part of a file, and of the parts in it, as paths."""
    for key, value in part.items():
        yield prefix + key
        if isinstance(value, dict):
            yield from _keys(value, f"{prefix}{key}.")


def worst(outcomes: list[Outcome]) -> Outcome:
    """One outcome for several: errored before succeeded, fail before warning before pass."""
    if not outcomes:
        return Outcome("succeeded", "pass")
    badness = [(_STATUSES.index(one.status), BADNESS.index(one.result)) for one in outcomes]
    message = "".join(one.message for one in outcomes)
    status = _STATUSES[min(status for status, _ in badness)]
    result = BADNESS[min(result for _, result in badness)]
    reason = outcomes[badness.index(min(badness))].reason
    data = {key: value for one in outcomes for key, value in one.data.items()}
    return Outcome(status, result, message, reason, data)


def _cancelled(task: Task, errand: Errand) -> Outcome:
    return errored("cancelled", f"Task '{task.name}' was not launched: {errand.cancelled}")


def _told(task: Task, ended: list[Outcome]) -> Outcome:
    """The last attempt's outcome, and in its message what became of the others."""
    last, earlier = ended[-1], ", ".join(one.reason for one in ended[:-1])
    hurried = last.reason in RETRIED and len(ended) <= task.retries
    if not (earlier or hurried):
        return last
    why = f"; why the earlier ones ended: {earlier}" if earlier else ""
    why += f"; no time was left for another ({_WHOLE_TASK})" if hurried else ""
    note = f"Task '{task.name}' ended in attempt {len(ended)} of {task.retries + 1}{why}\n\n"
    return replace(last, message=last.message + note)


def _times(errand: Errand, actions: list[int]) -> dict[str, str]:
    """When the tests began and ended, which Keptn's evaluation asks of the task `test`."""
    rows = [row for row in errand.done.values() if row.action in actions]
    if errand.event.task != "test" or not rows:
        return {}
    begun, ended = (row.launched for row in rows), (row.ended or row.launched for row in rows)
    return {"start": build.timestamp(min(begun)), "end": build.timestamp(max(ended))}


def _origin(errand: Errand, place: Place, task: Task) -> Origin:
    event, plan = errand.event, errand.plan
    digest = hashlib.sha1(plan.config.encode(), usedforsecurity=False).hexdigest()
    action = errand.config.actions[place.action]
    names = (place.action, action.name), (place.task, task.name)
    return Origin(event.shkeptncontext, event.id, plan.commit, digest, *names)


def _limit(errand: Errand, row: TaskRow, task: Task) -> Limit:
    """What this attempt may take: its own time, or what its task has left."""
    most, whole = task.attempt_seconds, task.active_deadline_seconds
    spent = row.launched - errand.done[row.place._replace(attempt=0)].launched
    if whole is None or whole - spent >= most:
        return Limit(float(most), f"{most} s (maxPollDuration)")
    return Limit(max(0.0, whole - spent), f"{whole} s ({_WHOLE_TASK})")
