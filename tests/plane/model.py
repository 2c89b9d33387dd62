"""The controller once more, as a model: what must come of triggers, answers, control and time.

It keeps no events, merges no data and asks no database; a rule of Keptn's is one short function.
"""

from dataclasses import dataclass, field

Shipyard = dict[tuple[str, str], "Sequence"]
Lane = tuple[str, str]
START_TIMEOUT = 600.0
WORST = ("errored", "aborted")
OPEN = ("started", "waitingForApproval", "waiting", "paused")


@dataclass(frozen=True)
class Sequence:
    """Tasks as (name, seconds of delay), and what fires it: (event, value of `match` or empty)."""

    tasks: tuple[tuple[str, float], ...]
    fired_by: tuple[tuple[str, str], ...] = ()


@dataclass
class Task:
    """A triggered task: when it is or was due, since when it is told, and what was answered."""

    name: str
    due: float
    told_at: float | None = None
    started: int = 0
    finished: list[tuple[str, str]] = field(default_factory=list)


@dataclass(eq=False)
class Run:
    """One sequence on its way; `task` is the current one, `done` holds (result, status)."""

    context: str
    lane: Lane
    name: str
    sequence: Sequence
    since: float
    state: str = "triggered"
    task: Task | None = None
    done: list[tuple[str, str]] = field(default_factory=list)


class Model:
    """All runs in the order in which they were triggered, and the ends of sequences."""

    def __init__(self, shipyard: Shipyard, now: float) -> None:
        self.shipyard, self.now = shipyard, now
        self.runs: list[Run] = []
        self.ends: list[tuple[str, str, str, str]] = []
        self.paused: set[tuple[str, str]] = set()

    def trigger(self, context: str, stage: str, name: str, service: str) -> None:
        """Unknown and empty sequences end at once; others get their turn."""
        sequence = self.shipyard.get((stage, name), Sequence(()))
        run = Run(context, (stage, service), name, sequence, self.now)
        self.runs.append(run)
        if sequence.tasks:
            self._turn(run)
        else:
            self._end(run, "finished", "fail", "errored")

    def answer(self, run: Run, task: Task | None, kind: str, result: str, status: str) -> None:
        """Only answers to the current task of a run count; equal numbers complete it."""
        if run.task is not task or task is None:
            return
        if kind == "started":
            task.started += 1
        else:
            task.finished.append((result, status))
        if task.started == len(task.finished) and run.state in OPEN:
            run.done.append(aggregate(task.finished))
            run.task = None
            self._proceed(run)

    def control(self, context: str, order: str, stage: str) -> None:
        """Abort ends what is open; pause and resume decide anew whose turn it is."""
        if order == "pause":
            self.paused.add((context, stage))
        elif order == "resume":
            self.paused = {
                each for each in self.paused if each[0] != context or stage not in ("", each[1])
            }
        mine = [run for run in self.runs if run.context == context and stage in ("", run.lane[0])]
        for run in [run for run in mine if run.state in OPEN]:
            if order == "abort":
                self._end(run, "aborted", "pass", "aborted")
                self._release(run.lane)
            else:
                self._turn(run)

    def wait(self, seconds: float) -> None:
        """Delayed tasks become due; what nobody answered ends its sequence."""
        self.now += seconds
        for run in self._open():
            if run.task and run.task.due > self.now - seconds and run.task.due <= self.now:
                self._turn(run)
        for run in self._open():
            task = run.task
            if task is None or task.started or task.finished or task.told_at is None:
                continue
            if task.told_at <= self.now - START_TIMEOUT:
                self._end(run, "timedOut", "fail", "errored")
                self._release(run.lane)

    def _open(self) -> list[Run]:
        return [run for run in self.runs if run.state in OPEN]

    def _turn(self, run: Run) -> None:
        held = {(run.context, ""), (run.context, run.lane[0])} & self.paused
        approval = run.task is not None and run.task.name == "approval"
        taken = self._is_taken(run)
        free = "waitingForApproval" if approval else "waiting" if taken else "started"
        was, state = run.state, "paused" if held else free
        going = state in ("started", "waitingForApproval")
        if going and run.task is None:
            self._next_task(run)
            return
        run.state = state
        if going and run.task and run.task.told_at is None and run.task.due <= self.now:
            run.task.told_at = self.now
        if was == "started" != run.state:
            self._release(run.lane)

    def _is_taken(self, run: Run) -> bool:
        return any(
            other.state == "started" and other.lane == run.lane and other.context != run.context
            for other in self.runs
        )

    def _release(self, lane: Lane) -> None:
        """Oldest first, until one must wait on."""
        waiting = [run for run in self.runs if run.lane == lane and run.state == "waiting"]
        for run in sorted(waiting, key=lambda run: run.since):
            if self._is_taken(run):
                return
            self._turn(run)

    def _next_task(self, run: Run) -> None:
        name, delay = run.sequence.tasks[len(run.done)]
        run.task = Task(name, self.now + delay)
        self._turn(run)

    def _proceed(self, run: Run) -> None:
        result, status = run.done[-1]
        stopped = result == "fail" or status == "errored"
        if not stopped and len(run.done) < len(run.sequence.tasks):
            self._next_task(run)
            return
        last = run.sequence.tasks[len(run.done) - 1][0]
        self._end(run, "finished", result, status)
        for (stage, name), sequence in self.shipyard.items():
            for event, match in sequence.fired_by:
                if event == f"{run.lane[0]}.{run.name}.finished" and fires(match, result, last):
                    self.trigger(run.context, stage, name, run.lane[1])
        self._release(run.lane)

    def _end(self, run: Run, state: str, result: str, status: str) -> None:
        run.state = state
        self.ends.append((run.context, f"{run.lane[0]}.{run.name}", result, status))


def aggregate(finished: list[tuple[str, str]]) -> tuple[str, str]:
    """The worst result, the worst status; an unknown status is a fail."""
    results, statuses = ({each[place] for each in finished} for place in (0, 1))
    known = "succeeded" if statuses == {"succeeded"} else "unknown"
    status = next((word for word in WORST if word in statuses), known)
    if status == "unknown" or results - {"pass", "warning"}:
        return "fail", status
    return ("warning" if "warning" in results else "pass"), status


def fires(match: str, result: str, last: str) -> bool:
    """Without a match on pass and warning; `TASK:RESULT` matches the last task only."""
    if not match:
        return result in ("pass", "warning")
    task, _, wanted = match.rpartition(":")
    return wanted == result and task in ("", last)
