"""Keptn's paths for events, sequences and logs; the rules behind the answers are elsewhere."""

import re
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel

from app.clock import Clock
from app.events.build import timestamp
from app.plane import sequence, validation
from app.plane.api import CONTROL, DATASTORE, Posted, json_body, listed_by, parsed
from app.plane.controller import Controller
from app.plane.projects import Projects
from app.plane.store import OPEN, Document, Listing, Store
from app.plane.validation import Refused

_TIMES = ("fromTime", "beforeTime")
_NO_TIME = "0001-01-01T00:00:00Z"
"""Go's, of what was never set."""

_ISO = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)?")
_SENT = "phase NOT IN ('scheduled', 'held')"
_VERSIONS = {"keptnversion": "1.4.5", "shipyardversion": "0.2.0", "bridgeversion": ""}
_METADATA = {"namespace": "", "keptnlabel": "keptn", "automaticprovisioning": False, **_VERSIONS}


class Control(BaseModel):
    """What shall become of a run, or of its part in one stage."""

    state: Literal["abort", "pause", "resume"]
    stage: str | None = ""


class Log(BaseModel):
    """Entries for the log of an integration, each with integrationid, message, time and more."""

    logs: list[Document]


_SCOPE = ("project", "stage", "service")
_EVENT = (*_SCOPE, *_TIMES, "type", "source", "keptnContext", "eventID")
Project = Annotated[str, Query(min_length=1)]
OpenEvents = Annotated[Listing, listed_by(*_SCOPE, "eventID", size=20)]
Events = Annotated[Listing, listed_by(*_EVENT, size=20, least=1, most=100)]
Executions = Annotated[Listing, listed_by("stage", "service", "name", "status", "keptnContext")]
Logs = Annotated[Listing, listed_by("integrationId", *_TIMES)]
States = Annotated[Listing, listed_by("name", "keptnContext", *_TIMES)]


@dataclass(frozen=True, slots=True)
class Routes:
    """The answers to Keptn's calls."""

    controller: Controller
    projects: Projects
    store: Store
    clock: Clock

    def add_to(self, router: APIRouter) -> None:
        """Give each its path."""
        for way in (router.get, router.post):
            way("/api/v1/auth")(lambda: None)
        router.get("/api/v1/metadata")(lambda: _METADATA)
        event = json_body(validation.PostedEvent)
        router.post("/api/v1/event", openapi_extra=event)(self.post_event)
        router.get(CONTROL + "/event/triggered/{event_type}")(self.open_events)
        router.get(CONTROL + "/sequence-execution")(self.executions)
        router.get(CONTROL + "/sequence/{project}")(self.sequence_states)
        path = CONTROL + "/sequence/{project}/{context}/control"
        router.post(path, openapi_extra=json_body(Control))(self.control)
        router.get(DATASTORE)(self.events)
        router.post(CONTROL + "/log", openapi_extra=json_body(Log))(self.log)
        router.get(CONTROL + "/log")(self.logs)

    def post_event(self, body: Posted) -> Document:
        """Take an event; its id and time are replaced."""
        event = validation.read(body)
        validation.check(event)
        return {"keptnContext": self.controller.post(event)}

    def open_events(self, event_type: str, listing: OpenEvents) -> Document:
        """Triggered task events that are due and not completed."""
        self.projects.get(listing.texts["project"] or self.projects.served)
        page = self.store.page("events", listing.of(type=event_type), OPEN)
        return {**page.shown("events"), "nextPageKey": str(page.following)}

    def events(self, listing: Events) -> Document:
        """Every stored event; without project and context only those that have no project."""
        scoped = listing.texts["project"] or listing.texts["keptnContext"]
        condition = _SENT if scoped else f"{_SENT} AND project IS NULL"
        page = self.store.page("events", listing, condition)
        offset = {"nextPageKey": str(page.following)} if page.following else {}
        return {**page.shown("events"), **offset, "pageSize": listing.size}

    def executions(self, project: Project, listing: Executions) -> Document:
        """Executions with every started and finished that was counted."""
        self.projects.get(project)
        page = self.store.page("executions", listing.of(project=project))
        return page.shown("sequenceExecutions")

    def sequence_states(self, project: str, listing: States, state: str = "") -> Document:
        """One state per run."""
        page = self.store.runs(listing.of(project=project), state)
        runs = (Listing({"keptnContext": context}) for context in page.items)
        views = [
            sequence.view(self.store.page("executions", run).items, self._told(run)) for run in runs
        ]
        return replace(page, items=views).shown("states")

    def _told(self, run: Listing) -> list[Document]:
        return self.store.page("events", run, _SENT).items

    def control(self, project: str, context: str, body: Posted) -> None:
        """Abort, pause or resume; a run that is not there, or has ended, is no error."""
        wanted = parsed(body, Control)
        self.controller.control(project, context, wanted.state, wanted.stage or "")

    def log(self, body: Posted) -> None:
        """Keep what integrations have to tell; an entry without a time gets the present one."""
        now = timestamp(self.clock.now())
        with self.store.transaction():
            for entry in parsed(body, Log).logs:
                timed = str(entry.get("time") or _NO_TIME) > _NO_TIME
                self.store.put("logs", entry if timed else {**entry, "time": now})

    def logs(self, listing: Logs) -> Document:
        """Log entries of the integrations."""
        if not all(_ISO.fullmatch(listing.texts[name]) for name in _TIMES):
            raise Refused(400, "fromTime and beforeTime must look like 2006-01-02T15:04:05.000Z")
        return self.store.page("logs", listing).shown("logs")
