"""The shipyard controller: what counts, when a task is complete, what is next (§2.3, §6.3, §6.4).

It is told of published events in the order of their arrival; how they came is not known here.
"""

import asyncio
import copy
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

from tests.strict.validation import SCOPE, Event, common, dropped, now, tokens

SOURCE = "shipyard-controller"


@dataclass
class Sequence:
    """One run of a sequence in one stage; `options` say how its tasks are delivered."""

    name: str
    tasks: list[str]
    trigger: Event
    options: dict[str, Any]
    state: str = "triggered"
    results: list[dict[str, Any]] = field(default_factory=list)
    current: "Task | None" = None
    undispatched: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def scope(self) -> dict[str, str]:
        """Project, stage and service."""
        return {name: self.trigger["data"][name] for name in SCOPE}

    def tell(self) -> None:
        """Wake everybody who waits for a change."""
        self.changed.set()
        self.changed = asyncio.Event()


@dataclass
class Task:
    """One triggered task; `heard` holds every event that named it, in order of arrival."""

    trigger: Event
    sequence: Sequence
    heard: list[dict[str, Any]] = field(default_factory=list)
    closed_by: str = ""
    following: str = ""
    start_promised: bool = False
    deliveries: list[Any] = field(default_factory=list)

    @property
    def id(self) -> str:
        """The id that `triggeredid` must repeat."""
        return str(self.trigger["id"])

    @property
    def name(self) -> str:
        """The task's name in the shipyard."""
        return tokens(self.trigger["type"])[3]

    def counted(self, kind: str) -> list[Event]:
        """The events of a kind that the controller took into account."""
        return [one["event"] for one in self.heard if one["kind"] == kind and one["counted"]]

    def view(self) -> dict[str, Any]:
        """All that a test may want to know."""
        kinds = {kind: len(self.counted(kind)) for kind in ("started", "finished")}
        late = Counter(one["kind"] for one in self.heard if one["why"] == "late")
        sources: dict[str, Counter[str]] = {}
        for one in self.heard:
            sources.setdefault(one["event"]["source"], Counter())[one["kind"]] += one["counted"]
        return kinds | {
            "by_source": sources,
            "open": not self.closed_by,
            "closed_by": self.closed_by,
            "ignored_finished": late["finished"],
            "ignored_started": late["started"],
            "events": self.heard,
            "deliveries": self.deliveries,
            "next": self.following,
            "context": self.trigger["shkeptncontext"],
            "triggered": self.trigger.get("time", ""),
            "sequence": self.sequence.state,
            "results": self.sequence.results,
        }


class Controller:
    """Counts each started and finished as it comes, from whomever, never deduped (§0.1, §0.3)."""

    def __init__(self, store: Callable[[Event], None], deliver: Callable[[Task], None]) -> None:
        self.tasks: dict[str, Task] = {}
        self.open: dict[str, Task] = {}
        self.sequences: list[Sequence] = []
        self.by_context: dict[str, list[Sequence]] = defaultdict(list)
        self.shipyard: dict[tuple[str, str, str], list[str]] = {}
        self._store, self._deliver = store, deliver

    def start(self, sequence: Sequence) -> None:
        """Begin a sequence: §6.3 rules 3 to 5."""
        self.sequences.append(sequence)
        self.by_context[sequence.trigger["shkeptncontext"]].append(sequence)
        self._go_on(sequence)

    def receive(self, event: Event) -> str:
        """Take note of a published event; the answer says why it does not count, or is empty."""
        parts = tokens(event.get("type"))
        if not parts:  # §1.2: outside the grammar
            return ""
        if why := dropped(event):
            return f"dropped: {why}"
        if len(parts) == 6 and parts[-1] == "triggered":
            return self._trigger(event, parts)
        if parts[-1:] not in (["started"], ["finished"]):
            return ""
        task = self.tasks.get(event.get("triggeredid") or "")
        if task is None:
            return "unknown_triggeredid"
        why = self._why_not(task, event, parts)
        task.heard.append({"kind": parts[-1], "counted": not why, "why": why, "event": event})
        if not why:
            self._complete(task)
        task.sequence.tell()
        return ""

    def close(self, task: Task, state: str, status: str, result: str) -> None:
        """End a task from outside: by abort (§2.4) or start timeout (§2.3)."""
        if not task.closed_by:
            self._shut(task, state)
            self._end(task.sequence, state, {"status": status, "result": result})

    def steer(self, project: str, context: str, order: str, stage: str = "") -> None:
        """§2.4: a pause only stops the dispatching of further tasks; an abort ends the open one."""
        for sequence in list(self.by_context[context]):
            scope, task = sequence.scope, sequence.current
            if scope["project"] != project or stage not in ("", scope["stage"]) or not task:
                continue
            if order == "abort":
                self.close(task, "aborted", "aborted", "pass")
            elif order == "pause":
                sequence.state = "paused"
            elif sequence.state == "paused":
                sequence.state = "started"
                if sequence.undispatched:
                    sequence.undispatched = False
                    self._deliver(task)

    def _why_not(self, task: Task, event: Event, parts: list[str]) -> str:
        if event.get("shkeptncontext") != task.trigger["shkeptncontext"]:
            return "wrong_context"
        if common(event["data"])["project"] != task.sequence.scope["project"]:
            return "wrong_project"
        if task.closed_by:  # §2.3: no longer associated with an open task
            return "late"
        # §2.3: the name is not compared, but such a finished does not find its triggered event
        return "wrong_type" if parts[-1] == "finished" and parts[3] != task.name else ""

    def _complete(self, task: Task) -> None:
        """§0.1: complete when the counts meet and are above zero, whichever came last."""
        finished = task.counted("finished")
        if not finished or len(finished) != len(task.counted("started")):
            return
        self._shut(task, "completed")
        status, result = aggregate([common(event["data"]) for event in finished])
        merged = reduce(merge, (copy.deepcopy(event["data"]) for event in finished))
        task.sequence.results.append(
            {
                "name": task.name,
                "triggeredID": task.id,
                "status": status,
                "result": result,
                "properties": merged,
            }
        )
        self._go_on(task.sequence)

    def _shut(self, task: Task, by: str) -> None:
        task.closed_by = by
        del self.open[task.id]

    def _go_on(self, sequence: Sequence) -> None:
        """§6.3 rules 4 to 7: the next task, unless the last one was fail or errored."""
        last = sequence.results[-1] if sequence.results else {"status": "", "result": ""}
        stopped = last["result"] == "fail" or last["status"] == "errored"
        if stopped or len(sequence.results) == len(sequence.tasks):
            self._end(sequence, "finished", last)
            return
        paused = sequence.state == "paused" or sequence.options.pop("paused", False)
        sequence.state, sequence.undispatched = "paused" if paused else "started", paused
        task = Task(self._next_trigger(sequence), sequence)
        if sequence.current:
            sequence.current.following = task.id
        sequence.current = self.tasks[task.id] = self.open[task.id] = task
        self._store(task.trigger)
        self._watch_start(task)
        if not paused:  # §2.4: the event is stored, and listed, before it is dispatched
            self._deliver(task)

    def _next_trigger(self, sequence: Sequence) -> Event:
        """§6.3 rule 5; `options` may spell the first one oddly."""
        odd = sequence.options if not sequence.results else {}
        event = {
            "specversion": "1.0",
            "id": odd.get("event_id") or str(uuid.uuid4()),
            "source": SOURCE,
            "type": f"sh.keptn.event.{sequence.tasks[len(sequence.results)]}.triggered",
            "time": odd.get("time") or now(),
            "shkeptncontext": sequence.trigger["shkeptncontext"],
            "shkeptnspecversion": "0.2.4",
            "gitcommitid": sequence.trigger["gitcommitid"],
            "data": triggered_data(sequence),
        }
        return {key: value for key, value in event.items() if (key, value) != ("time", "absent")}

    def _watch_start(self, task: Task) -> None:
        """§2.3: nothing at all within the start timeout ends the sequence."""

        def check() -> None:
            if not task.heard:
                self.close(task, "timedOut", "errored", "fail")

        if seconds := task.sequence.options.get("start_timeout"):
            asyncio.get_running_loop().call_later(seconds, check)

    def _end(self, sequence: Sequence, state: str, last: dict[str, Any]) -> None:
        """§6.3 rule 7: sequence finished: the last task's aggregate, nothing of its output."""
        sequence.state, sequence.current = state, None
        data = sequence.scope | {"status": last["status"], "result": last["result"]}
        self._store(
            {
                "specversion": "1.0",
                "id": str(uuid.uuid4()),
                "source": SOURCE,
                "type": f"sh.keptn.event.{data['stage']}.{sequence.name}.finished",
                "time": now(),
                "shkeptncontext": sequence.trigger["shkeptncontext"],
                "triggeredid": sequence.trigger["id"],
                "data": data,
            }
        )
        sequence.tell()

    def _trigger(self, event: Event, parts: list[str]) -> str:
        """§6.3 rule 1: an unknown sequence ends errored at once."""
        data = event["data"]
        tasks = self.shipyard.get((data["project"], data["stage"], parts[4]))
        trigger = {"time": now(), "shkeptncontext": "", "gitcommitid": ""} | event
        sequence = Sequence(parts[4], tasks or [], trigger, {})
        if tasks:
            self.start(sequence)
        else:
            self._end(sequence, "finished", {"status": "errored", "result": "fail"})
        return "" if tasks else "unknown_sequence"


def aggregate(finished: list[dict[str, Any]]) -> tuple[str, str]:
    """§2.3: (status, result) of several executors' answers."""
    results = {one["result"] for one in finished}
    statuses = {one["status"] for one in finished}
    result = "warning" if "warning" in results else "pass"
    if results - {"pass", "warning"}:
        result = "fail"
    for worst in ("errored", "aborted"):
        if worst in statuses:
            return worst, result
    return ("succeeded", result) if statuses == {"succeeded"} else ("unknown", "fail")


def triggered_data(sequence: Sequence) -> Event:
    """§6.4: the trigger's data, what the tasks before answered, and the last aggregate."""
    data: Event = copy.deepcopy(sequence.trigger["data"]) | sequence.scope
    for result in sequence.results:
        data = merge(data, copy.deepcopy(result["properties"]))
        data |= {"result": result["result"], "status": result["status"]}
    return data | ({"message": ""} if data.get("message") is not None else {})


def merge(old: Any, new: Any) -> Any:
    """§6.4's table: lists grow newest first, texts change, an old number or boolean stays."""
    if isinstance(old, dict) and isinstance(new, dict):
        return old | {key: merge(old.get(key), value) for key, value in new.items()}
    if isinstance(old, list) and isinstance(new, list):
        return new + old
    if old is None or old == []:
        return new
    if isinstance(old, int | float) or (new is None and not isinstance(old, str)):
        return old
    return "" if new is None else new
