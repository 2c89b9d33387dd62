"""Keptn's paths for events, sequences, integrations and what they log; most rules are elsewhere.

Subscriptions are kept for those who read them, such as a distributor; nobody edits them here.
"""

import uuid
from dataclasses import dataclass, replace
from hashlib import sha1
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import AliasPath, BaseModel, Field

from app.clock import Clock
from app.events.build import timestamp
from app.plane import sequence, validation
from app.plane.api import CONTROL, DATASTORE, Posted, json_body, listed_by, parsed
from app.plane.controller import Controller
from app.plane.projects import Projects
from app.plane.store import OPEN, Document, Listing, Store
from app.plane.validation import Refused

_NAMESPACE = AliasPath("metadata", "kubernetesmetadata", "namespace")
_RENEWED = ("integrationversion", "distributorversion")
_SENT = "phase NOT IN ('scheduled', 'held')"
_VERSIONS = {"keptnversion": "1.4.5", "shipyardversion": "0.2.0", "bridgeversion": ""}
_METADATA = {"namespace": "", "keptnlabel": "keptn", "automaticprovisioning": False, **_VERSIONS}
Given = Annotated[str, Field(min_length=1)]


class Control(BaseModel):
    """What shall become of a run, or of its part in one stage."""

    state: Literal["abort", "pause", "resume"]
    stage: str | None = ""


class Integration(BaseModel):
    """What an integration registers with; whatever else is in its metadata is kept."""

    name: Given
    namespace: Given = Field(validation_alias=_NAMESPACE)
    hostname: Given = Field(validation_alias=AliasPath("metadata", "hostname"))
    metadata: Document
    subscriptions: list[Document] | None = None


class Log(BaseModel):
    """Entries for the log of an integration, each with integrationid, message, time and more."""

    logs: list[Document]


_SCOPE = ("project", "stage", "service")
_TIMES = ("fromTime", "beforeTime")
_EVENT = (*_SCOPE, *_TIMES, "type", "source", "keptnContext", "eventID")
Project = Annotated[str, Query(min_length=1)]
OpenEvents = Annotated[Listing, listed_by(*_SCOPE, "eventID", size=20)]
Events = Annotated[Listing, listed_by(*_EVENT, size=20, least=1, most=100)]
Executions = Annotated[Listing, listed_by("stage", "service", "name", "status", "keptnContext")]
Logs = Annotated[Listing, listed_by("integrationId")]
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
        router.post("/api/v1/auth")(lambda: None)
        router.get("/api/v1/metadata")(lambda: _METADATA)
        event = json_body(validation.PostedEvent)
        router.post("/api/v1/event", openapi_extra=event)(self.post_event)
        router.get(CONTROL + "/event/triggered/{event_type}")(self.open_events)
        router.get(CONTROL + "/sequence-execution")(self.executions)
        router.get(CONTROL + "/sequence/{project}")(self.sequence_states)
        path = CONTROL + "/sequence/{project}/{context}/control"
        router.post(path, openapi_extra=json_body(Control))(self.control)
        router.get(DATASTORE)(self.events)
        path, known = CONTROL + "/uniform/registration", json_body(Integration)
        router.post(path, responses={201: {}}, openapi_extra=known)(self.register)
        router.get(path)(self.registered)
        router.put(path + "/{integration}/ping")(self.ping)
        router.delete(path + "/{integration}")(self.unregister)
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

    def sequence_states(self, project: str, listing: States) -> Document:
        """One state per run."""
        page = self.store.runs(listing.of(project=project))
        runs = (Listing({"keptnContext": context}) for context in page.items)
        views = [sequence.view(self.store.page("executions", run).items) for run in runs]
        return replace(page, items=views).shown("states")

    def control(self, project: str, context: str, body: Posted) -> None:
        """Abort, pause or resume; a run that is not there, or has ended, is no error."""
        wanted = parsed(body, Control)
        self.controller.control(project, context, wanted.state, wanted.stage or "")

    def register(self, body: Posted, response: Response) -> Document:
        """Take an integration, or hear again from one that is known by name and namespace."""
        given = parsed(body, Integration)
        wanted = [{**one, "id": str(uuid.uuid4())} for one in given.subscriptions or ()]
        text = f"{given.name}-{given.namespace}-{given.hostname}".encode()
        new: Document = {"id": sha1(text, usedforsecurity=False).hexdigest(), "name": given.name}
        where = "name = ? AND namespace = ?"
        with self.store.transaction():
            known = self.store.find("integrations", where, given.name, given.namespace)
            kept = known[0] if known else new | {"metadata": given.metadata, "subscriptions": []}
            kept["metadata"] |= {key: given.metadata.get(key) for key in _RENEWED}
            kept["subscriptions"] = kept["subscriptions"] or wanted
            self._keep(kept)
        response.status_code = 200 if known else 201
        return {"id": kept["id"]}

    def registered(self) -> list[Document]:
        """All integrations."""
        return self.store.find("integrations", "1")

    def ping(self, integration: str) -> Document:
        """Hear from an integration; it is told what it is subscribed to."""
        with self.store.transaction():
            for found in self.store.find("integrations", "id = ?", integration):
                self._keep(found)
                return found
        raise Refused(404, "Integration not found")

    def unregister(self, integration: str) -> None:
        """Forget an integration."""
        self.store.query("DELETE FROM integrations WHERE id = ?", integration)

    def log(self, body: Posted) -> None:
        """Keep what integrations have to tell; an entry without a time gets the present one."""
        now = timestamp(self.clock.now())
        with self.store.transaction():
            for entry in parsed(body, Log).logs:
                self.store.put("logs", {**entry, "time": entry.get("time") or now})

    def logs(self, listing: Logs) -> Document:
        """Log entries of the integrations."""
        return self.store.page("logs", listing).shown("logs")

    def _keep(self, integration: Document) -> None:
        """Store it as just heard of."""
        integration["metadata"]["lastseen"] = timestamp(self.clock.now())
        self.store.put("integrations", integration)
