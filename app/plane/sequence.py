"""A running sequence: counting, aggregation, what comes next with which data, its state. Pure.

An execution is a plain JSON document, in the very form in which Keptn's API shows it.
"""

import copy
from functools import reduce
from typing import Any

from app.events import grammar
from app.plane.shipyard import Sequence
from app.plane.store import ENDED_STATES, RUN_STATES, Document
from app.plane.validation import EventData


def new(identity: str, sequence: Sequence, event: Document, scope: EventData) -> Document:
    """The execution that a `sequence.triggered` event begins."""
    return {
        "_id": identity,
        "sequence": sequence.model_dump(by_alias=True),
        "status": {"state": "triggered", "previousTasks": [], "currentTask": current_task()},
        "scope": {
            **scope.model_dump(),
            "keptnContext": event["shkeptncontext"],
            "triggeredId": event["id"],
            "gitcommitid": event.get("gitcommitid", ""),
            "eventType": event["type"],
        },
        "inputProperties": event["data"],
        "triggeredAt": event["time"],
    }


def current_task(name: str = "", triggered_id: str = "") -> Document:
    """The current task, of which nothing was heard yet; without a name, that there is none."""
    return {"name": name, "triggeredID": triggered_id, "events": []}


def task_event(event: Document, common: EventData) -> Document:
    """What is kept of a `started` or `finished` that belongs to the current task."""
    return {
        "eventType": event["type"],
        "source": event["source"],
        "result": common.result,
        "status": common.status,
        "time": event["time"],
        "properties": event["data"] if event["type"].endswith(".finished") else None,
    }


def is_complete(events: list[Document]) -> bool:
    """Whether as many `finished` as `started` were counted; nobody asks whose they are."""
    started = [event for event in events if event["eventType"].endswith(".started")]
    return 0 < len(_finished(events)) == len(started)


def aggregate(events: list[Document]) -> tuple[str, str]:
    """(result, status) of all executors together."""
    statuses = {event["status"] for event in _finished(events)} or {"succeeded"}
    results = {event["result"] for event in _finished(events)}
    known = (word for word in ("errored", "aborted") if word in statuses)
    status = next(known, "succeeded" if statuses == {"succeeded"} else "unknown")
    if status == "unknown" or not results <= {"pass", "warning"}:
        return "fail", status
    return "warning" if "warning" in results else "pass", status


def complete_task(execution: Document) -> tuple[str, str]:
    """Move the current task to the previous ones; returns its (result, status)."""
    task = execution["status"]["currentTask"]
    events = task.pop("events")
    result, status = aggregate(events)
    properties = reduce(merge, (event["properties"] for event in _finished(events)), None)
    completed = {"result": result, "status": status, "properties": properties}
    execution["status"]["previousTasks"].append(task | completed)
    execution["status"]["currentTask"] = current_task()
    return result, status


def next_task(execution: Document) -> Document | None:
    """The task whose turn it is; None at the end, and after one that failed or errored."""
    previous, tasks = execution["status"]["previousTasks"], execution["sequence"]["tasks"]
    stopped = previous and (previous[-1]["result"] == "fail" or previous[-1]["status"] == "errored")
    return None if stopped else next(iter(tasks[len(previous) :]), None)


def triggered_data(execution: Document) -> Document:
    """The data with which the next task, or a following sequence, is triggered.

    Built on the stored results and not on a copy, as in Keptn: a list in them grows each time.
    """
    data: Document = copy.deepcopy(execution["inputProperties"])
    data |= {key: execution["scope"][key] for key in ("project", "stage", "service")}
    previous = execution["status"]["previousTasks"]
    for task in previous:
        merge(data, task["properties"])
    following = next_task(execution)
    if following and following["properties"] is not None:
        name = following["name"]
        data[name] = merge(data.get(name), following["properties"])
    if previous:
        data |= {key: previous[-1][key] for key in ("result", "status")}
    if data.get("message") is not None:
        data["message"] = ""
    return data


def merge(old: Any, new: Any) -> Any:
    """The value in which `old` is overlaid with `new`, as the real controller does it.

    Its oddities are kept: an old number or boolean always stays; lists grow at their front; maps
    are merged in place and may share parts with `new`.
    """
    match old:
        case bool() | int() | float():
            return old
        case dict() if isinstance(new, dict):
            for key, value in new.items():
                old[key] = merge(old.get(key), value)
            return old
        case list() if new is None or isinstance(new, list):
            return [*(new or []), *old] or new
        case str():
            return "" if new is None else new
        case _:
            return old if new is None else new


def state_of(executions: list[Document]) -> str:
    """Finished once nothing is open any more, unless something timed out or was aborted."""
    states = {execution["status"]["state"] for execution in executions}
    return next(word for word in RUN_STATES if word in states)


def view(run: list[Document], events: list[Document]) -> Document:
    """The run as Keptn's sequence API shows it, from its executions and events, newest first."""
    first = min(reversed(run), key=lambda execution: str(execution["triggeredAt"]))
    stages: dict[str, list[Document]] = {}
    told: dict[str, list[Document]] = {}
    for execution in reversed(run):
        stages.setdefault(execution["scope"]["stage"], []).append(execution)
    for event in events:
        told.setdefault(str(event["data"].get("stage")), []).append(event)
    return {
        "name": first["sequence"]["name"],
        "project": first["scope"]["project"],
        "service": first["scope"]["service"],
        "time": first["triggeredAt"],
        "shkeptncontext": first["scope"]["keptnContext"],
        "state": state_of(run),
        "stages": [
            {"name": name, **_stage(state_of(there), told.get(name, []))}
            for name, there in stages.items()
        ],
    }


def _stage(state: str, events: list[Document]) -> Document:
    """A stage's state in Keptn's words for it, its latest event, and the latest of a failure.

    While it is at work it counts as triggered, and at its end it has the status of the sequence.
    """
    failed = [
        event
        for event in events
        if event["data"].get("result") == "fail" or event["data"].get("status") == "errored"
    ]
    ends = [one for one in events if (grammar.sequence_event(one["type"]) or "?")[-1] == "finished"]
    words = dict.fromkeys(("started", "waitingForApproval"), "triggered")
    words |= dict.fromkeys(ENDED_STATES, ends[0]["data"]["status"] if ends else state)
    found = {"latestEvent": events, "latestFailedEvent": failed}
    return {"state": words.get(state, state)} | {
        title: {key: events[0][key] for key in ("type", "id", "time")}
        for title, events in found.items()
        if events
    }


def _finished(events: list[Document]) -> list[Document]:
    return [event for event in events if event["eventType"].endswith(".finished")]
