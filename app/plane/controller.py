"""Keptn's shipyard controller in small: what follows from an event, in one transaction. No HTTP.

It leaves out pause, sequence control and the queue.
"""

import uuid
from collections.abc import Callable

from app.clock import Clock
from app.events import grammar
from app.events.build import SPEC_VERSION, timestamp
from app.plane import sequence as sequences
from app.plane import shipyard as shipyards
from app.plane.resources import Resources
from app.plane.store import Document, Store
from app.plane.validation import EventData, PostedEvent, Refused, event_data, keptn_context

SOURCE = "shipyard-controller"
_API = "https://github.com/keptn/keptn/api"
_CONTENT_TYPE = {"contenttype": "application/json"}
_TIMED_OUT = (
    "sequence timed out while waiting for task {} "
    "to receive a correlating .started or .finished event"
)


class Controller:
    """Counts whatever is posted, never asking whether it was posted before.

    `wake` is called, from any thread, when there may be something to deliver or to wait for.
    """

    def __init__(self, project: str, resources: Resources, store: Store, clock: Clock) -> None:
        self._project = project
        self._resources = resources
        self._store = store
        self._clock = clock
        self.wake: Callable[[], object] = lambda: None

    def post(self, event: PostedEvent) -> str:
        """Take an event that the API found valid, under a new id and time; returns its context."""
        context = keptn_context(event.shkeptncontext)
        given = event.model_dump(include={"type", "data", "triggeredid", "gitcommitid"})
        with self._store.transaction():
            self._publish(self._event(context, given | _CONTENT_TYPE, event.source or _API))
        self.wake()
        return context

    def log(self, entries: list[Document]) -> None:
        """Keep what integrations have to tell; an entry without a time gets the present one."""
        with self._store.transaction():
            for entry in entries:
                now = {"time": entry.get("time") or timestamp(self._clock.now())}
                self._store.put("logs", entry | now)

    def tick(self, start_timeout: float) -> float | None:
        """Send what is due, end what nobody answered; returns the seconds until there is more."""
        now = self._clock.now()
        with self._store.transaction():
            for event in self._store.find("events", "phase = 'scheduled' AND due <= ?", now):
                self._store.put("events", event | {"time": timestamp(now)}, "open", now)
            for event in self._store.unanswered(due_before=now - start_timeout):
                self._time_out(event)
            moment = self._store.next_moment(start_timeout)
        return None if moment is None else max(0.0, moment - now)

    def _publish(self, event: Document, phase: str = "") -> None:
        """Store a new event, and react to it as the controller's subscription would."""
        self._store.put("events", event, phase)
        try:
            common = event_data(event["data"])
        except Refused:
            return  # the API takes some in any form; the controller drops what it cannot read
        sequence, task = grammar.sequence_event(event["type"]), grammar.task_event(event["type"])
        if sequence and sequence[2] == "triggered":
            self._trigger_sequence(event, common, sequence[1])
        elif task and task[1] in ("started", "finished"):
            self._count(event, common)

    def _trigger_sequence(self, event: Document, common: EventData, name: str) -> None:
        identity = str(uuid.uuid4())
        try:
            sequence = self._sequence(common, name)
            version = self._resources.snapshot(common.stage)
        except Refused as refused:
            nothing = shipyards.Sequence(name=name)
            reason = f"Unable to start sequence {name}: {refused}"
            ended = _ended(common, "fail", "errored", reason)
            self._finish(sequences.new(identity, nothing, event, common), ended, "finished")
            return
        service = (common.stage, common.service)
        self._store.query("INSERT OR IGNORE INTO services VALUES (?, ?)", *service)
        event = {**event, "gitcommitid": event.get("gitcommitid") or version}
        self._proceed(sequences.new(identity, sequence, event, common), common)

    def _sequence(self, common: EventData, name: str) -> shipyards.Sequence:
        if common.project != self._project:
            raise Refused(404, f"project {common.project} is not served here")
        return self._resources.shipyard().sequence(common.stage, name)

    def _count(self, event: Document, common: EventData) -> None:
        """Count a started or finished for the task that it names; any other is ignored."""
        of_task = "taskID = ? AND keptnContext = ? AND project = ?"
        task = (event["triggeredid"], event["shkeptncontext"], common.project)
        for execution in self._store.find("executions", of_task, *task):
            events = execution["status"]["currentTask"]["events"]
            events.append(sequences.task_event(event, common))
            self._store.put("executions", execution)
            if sequences.is_complete(events) and self._is_open(event):
                self._store.set_phase(event["triggeredid"], "closed")
                result, status = sequences.complete_task(execution)
                self._proceed(execution, _ended(common, result, status, common.message))

    def _is_open(self, event: Document) -> bool:
        """Only here is the task's name compared: an answer under a wrong one hangs, as in Keptn."""
        triggered = event["type"].rpartition(".")[0] + ".triggered"
        where = "eventID = ? AND type = ? AND phase != 'closed'"
        return bool(self._store.find("events", where, event["triggeredid"], triggered))

    def _proceed(self, execution: Document, last: EventData) -> None:
        """Trigger the next task, or finish the sequence and trigger those that follow it.

        `last` is the data of the last event: stage, labels and message are taken from there.
        """
        task = sequences.next_task(execution)
        if task is not None:
            self._trigger_task(execution, task)
            return
        self._finish(execution, last, "finished")
        finished = f"{last.stage}.{execution['sequence']['name']}.finished"
        last_task = execution["status"]["previousTasks"][-1]["name"]
        shipyard = self._resources.last_shipyard
        for stage, name in shipyard.follow_ups(finished, last.result, last_task):
            data = {**sequences.triggered_data(execution), "stage": stage}
            triggered = {"type": grammar.of_sequence(stage, name, "triggered"), "data": data}
            self._publish(self._event(execution["scope"]["keptnContext"], triggered))

    def _trigger_task(self, execution: Document, task: Document) -> None:
        scope = execution["scope"]
        attributes = {
            "type": grammar.of_task(task["name"], "triggered"),
            "gitcommitid": scope["gitcommitid"],
            "data": sequences.triggered_data(execution),
        }
        event = self._event(scope["keptnContext"], attributes)
        execution["status"]["currentTask"] = sequences.current_task(task["name"], event["id"])
        self._store.put("executions", execution)
        delay = shipyards.seconds(task["triggeredAfter"]) or 0.0
        phase = "scheduled" if delay > 0 else "open"
        self._store.put("events", event, phase, self._clock.now() + delay)

    def _time_out(self, event: Document) -> None:
        self._store.set_phase(event["id"], "closed")
        message = _TIMED_OUT.format(event["type"])
        for execution in self._store.find("executions", "taskID = ?", event["id"]):
            try:
                common = event_data(event["data"])
            except Refused:  # a task named `labels` or the like has made its data unreadable
                common = EventData.model_validate(execution["scope"])
            self._finish(execution, _ended(common, "fail", "errored", message), "timedOut")

    def _finish(self, execution: Document, last: EventData, state: str) -> None:
        execution["status"]["state"] = state
        self._store.put("executions", execution)
        scope, name = execution["scope"], execution["sequence"]["name"]
        finished: Document = {"type": grammar.of_sequence(last.stage, name, "finished")}
        finished |= {"triggeredid": scope["triggeredId"], "data": last.model_dump()}
        self._publish(self._event(scope["keptnContext"], finished), phase="untold")

    def _event(self, context: str, attributes: Document, source: str = SOURCE) -> Document:
        """A CloudEvent with a new id and the present time; empty attributes are left out."""
        event = {"specversion": "1.0", "id": str(uuid.uuid4()), "source": source}
        event |= {"time": timestamp(self._clock.now()), "shkeptncontext": context}
        present = {name: value for name, value in attributes.items() if value != ""}
        return event | {"shkeptnspecversion": SPEC_VERSION} | present


def _ended(common: EventData, result: str, status: str, message: str) -> EventData:
    return common.model_copy(update={"result": result, "status": status, "message": message})
