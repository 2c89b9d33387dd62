"""Keptn's shipyard controller in small: what follows from an event, in one transaction. No HTTP.

On a stage and service one run is at work at a time; the others wait for their turn.
"""

import uuid
from collections.abc import Callable

from app.clock import Clock
from app.events import durations, grammar
from app.events.build import SPEC_VERSION, timestamp
from app.plane import sequence as sequences
from app.plane import shipyard as shipyards
from app.plane.projects import Projects
from app.plane.store import OPEN_STATES, Document, Store
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

    def __init__(self, projects: Projects, store: Store, clock: Clock) -> None:
        self._projects = projects
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

    def control(self, project: str, context: str, order: str, stage: str) -> None:
        """Abort, pause or resume a run, or its part in one stage; nothing there is nothing done."""
        wanted = (
            f"project = ? AND keptnContext = ? AND ? IN ('', stage) AND status IN {OPEN_STATES}"
        )
        act = self._abort if order == "abort" else self._go_on
        with self._store.transaction():
            if order != "abort":
                self._store.pause(context, stage, resume=order == "resume")
            for execution in self._store.find("executions", wanted, project, context, stage):
                act(execution)
        self.wake()

    def tick(self, start_timeout: float) -> float:
        """Send what is due, end what nobody answered; returns when to look again."""
        now = self._clock.now()
        with self._store.transaction():
            for event in self._store.find("events", "phase = 'scheduled' AND due <= ?", now):
                self._store.put("events", event | {"time": timestamp(now)}, "held", now)
                for execution in self._store.find("executions", "taskID = ?", event["id"]):
                    self._go_on(execution)
            for event in self._store.unanswered(due_before=now - start_timeout):
                self._time_out(event)
            return self._store.next_moment(start_timeout)

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
            project = self._projects.get(common.project)
            sequence = project.shipyard().sequence(common.stage, name)
            version = project.snapshot(common.stage)
        except Refused as refused:
            nothing = shipyards.Sequence(name=name)
            reason = f"Unable to start sequence {name}: {refused}"
            ended = _ended(common, "fail", "errored", reason)
            self._finish(sequences.new(identity, nothing, event, common), ended, "finished")
            return
        project.know(common.stage, common.service)
        event = {**event, "gitcommitid": event.get("gitcommitid") or version}
        self._go_on(sequences.new(identity, sequence, event, common))

    def _go_on(self, execution: Document) -> None:
        """Give a run its first task, or the current one its turn, if it need not wait for others.

        A task whose turn has not come is stored and listed, but told to nobody.
        """
        status, scope = execution["status"], execution["scope"]
        was, task = status["state"], status["currentTask"]
        state = self._state(scope, task["name"])
        going = state in ("started", "waitingForApproval")
        if going and not task["name"]:
            self._trigger_task(execution, execution["sequence"]["tasks"][0])
            return
        status["state"] = state
        self._store.put("executions", execution)
        if going:
            self._store.release(task["triggeredID"], self._clock.now())
        if was == "started" != state:
            self._call_next(scope)

    def _state(self, scope: Document, task: str) -> str:
        if self._store.is_paused(scope["keptnContext"], scope["stage"]):
            return "paused"
        if task == "approval":
            return "waitingForApproval"
        return "waiting" if self._store.is_taken(scope) else "started"

    def _call_next(self, scope: Document) -> None:
        """Let those that wait for this stage and service go on, by the time of their trigger."""
        while waiting := self._store.next_waiting(scope):
            if self._store.is_taken(waiting["scope"]):
                return
            self._go_on(waiting)

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
        if task := sequences.next_task(execution):
            self._trigger_task(execution, task)
            return
        self._finish(execution, last, "finished")
        finished = f"{last.stage}.{execution['sequence']['name']}.finished"
        last_task = execution["status"]["previousTasks"][-1]["name"]
        shipyard = self._projects.get(execution["scope"]["project"]).last_shipyard
        for stage, name in shipyard.follow_ups(finished, last.result, last_task):
            data = {**sequences.triggered_data(execution), "stage": stage}
            triggered = {"type": grammar.of_sequence(stage, name, "triggered"), "data": data}
            self._publish(self._event(execution["scope"]["keptnContext"], triggered))
        self._call_next(execution["scope"])

    def _trigger_task(self, execution: Document, task: Document) -> None:
        scope = execution["scope"]
        attributes = {
            "type": grammar.of_task(task["name"], "triggered"),
            "gitcommitid": scope["gitcommitid"],
            "data": sequences.triggered_data(execution),
        }
        event = self._event(scope["keptnContext"], attributes)
        execution["status"]["currentTask"] = sequences.current_task(task["name"], event["id"])
        delay = durations.seconds(task["triggeredAfter"]) or 0.0
        phase = "scheduled" if delay > 0 else "held"
        self._store.put("events", event, phase, self._clock.now() + delay)
        self._go_on(execution)

    def _time_out(self, event: Document) -> None:
        self._store.set_phase(event["id"], "closed")
        message = _TIMED_OUT.format(event["type"])
        for execution in self._store.find("executions", "taskID = ?", event["id"]):
            try:
                common = event_data(event["data"])
            except Refused:  # a task named `labels` or the like has made its data unreadable
                common = EventData.model_validate(execution["scope"])
            self._finish(execution, _ended(common, "fail", "errored", message), "timedOut")
            self._call_next(execution["scope"])

    def _abort(self, execution: Document) -> None:
        """End it; what its task still does, nobody waits for, and nothing follows."""
        self._store.set_phase(execution["status"]["currentTask"]["triggeredID"], "closed")
        common = EventData.model_validate(execution["scope"])
        self._finish(execution, _ended(common, "pass", "aborted", ""), "aborted")
        self._call_next(execution["scope"])

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
