"""What of ours has arrived at Keptn: asked after a doubtful reply, and to confirm a sidecar's 200.

The controller's own count comes first; the datastore is asked where that says nothing.
"""

from contextlib import suppress
from dataclasses import dataclass

from app.errors import Permanent
from app.events import grammar
from app.events.parse import Event
from app.keptn.api import KeptnApi, Objects, mapping, mappings
from app.outbound import Refused, Unclear


class Unaskable(Permanent):
    """This Keptn offers nothing that could tell what arrived."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """How many of our answers to one triggered event Keptn has; `complete` when it is past it."""

    started: int
    finished: int
    complete: bool = False

    def has(self, kind: str, count: int = 1) -> bool:
        """Whether so many answers of a kind are there, or none is waited for any more."""
        return self.complete or (self.started if kind == "started" else self.finished) >= count


async def arrived(api: KeptnApi, event: Event, source: str) -> Arrived:
    """What Keptn has of our answers to the event.

    Raises:
        Temporary: it cannot be asked now.
        Unaskable: it cannot be asked at all.
    """
    if not event.shkeptncontext:
        raise Unaskable("the event has no shkeptncontext to look for")
    with suppress(Refused, Unclear):  # an older Keptn has no such API
        if counted := _counted(await api.executions(event), event, source):
            return counted
    try:
        started = await _stored(api, event, source, "started")
        return Arrived(started, await _stored(api, event, source, "finished"))
    except Refused as error:
        raise Unaskable(str(error)) from None


def _counted(executions: Objects, event: Event, source: str) -> Arrived | None:
    """The controller's count, if it knows the task."""
    for execution in executions:
        status = mapping(execution.get("status"))
        previous = mappings(status.get("previousTasks"))
        if any(task.get("triggeredID") == event.id for task in previous):
            return Arrived(0, 0, complete=True)
        current = mapping(status.get("currentTask"))
        if current.get("triggeredID") == event.id:
            ours = [
                str(one.get("eventType")).rpartition(".")[2]
                for one in mappings(current.get("events"))
                if one.get("source") == source
            ]
            return Arrived(ours.count("started"), ours.count("finished"))
    return None


async def _stored(api: KeptnApi, event: Event, source: str, kind: str) -> int:
    found = await api.stored_events(event, grammar.of_task(event.task or "", kind), source)
    ours = {"triggeredid": event.id, "source": source}
    return sum(1 for one in found if ours.items() <= one.items())
