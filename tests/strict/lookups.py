"""What Keptn tells those who ask: open events, executions, states, stored events (§3.2, §3.5).

Reads only; every answer is computed from the controller and the store at the moment of asking.
"""

import json
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from tests.strict.counting import Controller, Sequence
from tests.strict.validation import SCOPE, Event, Refused

Query = Mapping[str, str]


class Datastore:
    """Every event under sh.keptn.event, also those that the controller ignored (§3.5)."""

    def __init__(self) -> None:
        self._by_project: dict[str, list[Event]] = defaultdict(list)
        self._by_context: dict[str, list[Event]] = defaultdict(list)

    def add(self, event: Event) -> None:
        """Keep an event; one collection for each project, one for those without."""
        data = event.get("data") if isinstance(event.get("data"), dict) else {}
        kept = {key: value for key, value in event.items() if key != "datacontenttype"}  # §1.1
        insort(self._by_project[(data or {}).get("project") or ""], kept, key=_time)
        insort(self._by_context[event.get("shkeptncontext") or ""], kept, key=_time)

    def answer(self, query: Query) -> dict[str, Any]:
        """GET /event: newest first; without project and context only events of no project."""
        size = number(query, "pageSize", 20)
        if not 1 <= size <= 100:
            raise Refused(422, "pageSize in query should be between 1 and 100")
        context, project = query.get("keptnContext"), query.get("project", "")
        found = self._by_context[context] if context else self._by_project[project]
        first = bisect_right(found, query.get("fromTime", ""), key=_time)  # §3.5: as text
        last = bisect_left(found, query.get("beforeTime", "~"), key=_time)
        chosen = [one for one in reversed(found[first:last]) if _stored_matches(one, query)]
        page, following = paged(chosen, query, size)
        answer = {"events": page, "pageSize": size, "totalCount": len(chosen)}
        return answer | ({"nextPageKey": str(following)} if following else {})


def open_events(controller: Controller, event_type: str, query: Query) -> dict[str, Any]:
    """GET /event/triggered/{type}: listed until the task completes; newest first."""
    found = [
        task.trigger
        for task in reversed(controller.open.values())
        if task.trigger["type"] == event_type
        and all(query.get(name, value) == value for name, value in task.sequence.scope.items())
        and query.get("eventID", task.id) == task.id
    ]
    page, following = paged(found, query, number(query, "pageSize", 20))
    count = {"totalCount": len(found)} if found else {}  # Go omits a 0
    return {"events": page, "nextPageKey": str(following)} | count


def executions(controller: Controller, query: Query) -> dict[str, Any]:
    """GET /sequence-execution: what the controller counted, and from whom."""
    if not query.get("project"):
        raise Refused(400, "project must be set")
    found = [
        _execution(one)
        for one in _of_context(controller, query)
        if all(query.get(name, value) == value for name, value in one.scope.items())
        and query.get("name", one.name) == one.name
        and query.get("status", one.state) == one.state
    ]
    return _numbered("sequenceExecutions", found, query)


def states(controller: Controller, project: str, query: Query) -> dict[str, Any]:
    """GET /sequence/{project}: the states that the Bridge shows."""
    found = [
        _state(one) for one in _of_context(controller, query) if one.scope["project"] == project
    ]
    return _numbered("states", found, query)


def projects(known: set[tuple[str, ...]], controller: Controller) -> dict[str, Any]:
    """GET /project: the names, and shipyards with every task that was ever asked for."""
    asked: dict[str, set[str]] = defaultdict(set)
    for (project, *_), tasks in controller.shipyard.items():
        asked[project] |= set(tasks)
    for sequence in controller.sequences:
        asked[sequence.scope["project"]] |= set(sequence.tasks)
    names = sorted(place[0] for place in known if len(place) == 1)
    return {
        "projects": [{"projectName": name, "shipyard": _shipyard(asked[name])} for name in names]
    }


def _shipyard(tasks: set[str]) -> str:
    sequences = [{"name": "delivery", "tasks": [{"name": task} for task in sorted(tasks)]}]
    stages = [{"name": "s", "sequences": sequences}]
    head = {"apiVersion": "spec.keptn.sh/0.2.4", "kind": "Shipyard", "metadata": {"name": "any"}}
    return json.dumps({**head, "spec": {"stages": stages}})


def _of_context(controller: Controller, query: Query) -> list[Sequence]:
    contexts = query.get("keptnContext")
    if not contexts:
        return controller.sequences
    return [one for context in contexts.split(",") for one in controller.by_context[context]]


def _execution(sequence: Sequence) -> dict[str, Any]:
    task = sequence.current
    heard = [one["event"] for one in task.heard if one["counted"]] if task else []
    return {
        "_id": sequence.trigger["id"],
        "sequence": {"name": sequence.name, "tasks": [{"name": name} for name in sequence.tasks]},
        "status": {
            "state": sequence.state,
            "stateBeforePause": "",
            "previousTasks": sequence.results,
            "currentTask": {
                "name": task.name if task else "",
                "triggeredID": task.id if task else "",
                "events": [_task_event(event) for event in heard],
            },
        },
        "scope": sequence.scope
        | {
            "keptnContext": sequence.trigger["shkeptncontext"],
            "triggeredid": sequence.trigger["id"],
            "gitcommitid": sequence.trigger["gitcommitid"],
        },
        "inputProperties": sequence.trigger["data"],
        "triggeredAt": sequence.trigger["time"],
    }


def _task_event(event: Event) -> dict[str, Any]:
    return {
        "eventType": event["type"],
        "source": event["source"],
        "result": event["data"].get("result", ""),
        "status": event["data"].get("status", ""),
        "time": event.get("time", ""),
        "properties": event["data"],
    }


def _state(sequence: Sequence) -> dict[str, Any]:
    scope = sequence.scope
    return {
        "name": sequence.name,
        "service": scope["service"],
        "project": scope["project"],
        "time": sequence.trigger["time"],
        "shkeptncontext": sequence.trigger["shkeptncontext"],
        "state": sequence.state,
        "stages": [{"name": scope["stage"], "state": sequence.state}],
    }


def _time(event: Event) -> str:
    return str(event.get("time", "")) or " "


def _stored_matches(event: Event, query: Query) -> bool:
    data = event.get("data") if isinstance(event.get("data"), dict) else {}
    names = {"type": "type", "source": "source", "eventID": "id", "keptnContext": "shkeptncontext"}
    fields = {asked: event.get(name) for asked, name in names.items()}
    fields |= {name: (data or {}).get(name) for name in SCOPE}
    return all(not query.get(name) or query[name] == value for name, value in fields.items())


def _numbered(name: str, found: list[Any], query: Query) -> dict[str, Any]:
    """§11: unlimited when pageSize is absent; the numbers are omitted when 0."""
    size = number(query, "pageSize", 0)
    page, following = paged(found, query, size or len(found))
    numbers = {"nextPageKey": following, "totalCount": len(found), "pageSize": size}
    return {name: page} | {key: number for key, number in numbers.items() if number}


def paged(found: list[Any], query: Query, size: int) -> tuple[list[Any], int]:
    """The page that is asked for, and where the next begins: 0 where there is none."""
    start = number(query, "nextPageKey", 0)
    end = start + size
    return found[start:end], end if end < len(found) else 0


def number(query: Query, name: str, default: int) -> int:
    """A number of the query."""
    try:
        return int(query.get(name) or default)
    except ValueError:
        raise Refused(422, f"{name} in query must be an integer") from None
