"""Keptn's own paths and what is answered there; the rules behind the answers are elsewhere."""

import base64
import re
from dataclasses import dataclass, replace
from typing import Annotated
from urllib.parse import unquote_plus

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ValidationError

from app.plane import sequence, validation
from app.plane.api import DATASTORE, Posted, json_body, listed_by
from app.plane.controller import Controller
from app.plane.resources import Resources
from app.plane.store import OPEN, Document, Listing, Page, Store
from app.plane.validation import Refused, first

_ISO = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)?")
_SENT = "phase != 'scheduled'"
_CONTROL = "/api/controlPlane/v1"
_PROJECT = "/api/resource-service/v1/project/{project}"
_LEVELS = ("", "/stage/{stage}", "/stage/{stage}/service/{service}")
_VERSIONS = {"keptnversion": "1.4.5", "shipyardversion": "0.2.0", "bridgeversion": ""}
_METADATA = {"namespace": "", "keptnlabel": "keptn", "automaticprovisioning": False, **_VERSIONS}


class Log(BaseModel):
    """Entries for the log of an integration, each with integrationid, message, time and more."""

    logs: list[Document]


_SCOPE = ("project", "stage", "service")
_TIMES = ("fromTime", "beforeTime")
_EVENT = (*_SCOPE, *_TIMES, "type", "source", "keptnContext", "eventID")
Project = Annotated[str, Query(min_length=1)]
Commit = Annotated[str, Query(alias="gitCommitID")]
OpenEvents = Annotated[Listing, listed_by(*_SCOPE, "eventID", size=20)]
Events = Annotated[Listing, listed_by(*_EVENT, size=20, least=1, most=100)]
Executions = Annotated[Listing, listed_by("stage", "service", "name", "status", "keptnContext")]
States = Annotated[Listing, listed_by("name", "keptnContext", *_TIMES)]
Names = Annotated[Listing, listed_by(size=20)]
Logs = Annotated[Listing, listed_by("integrationId", *_TIMES)]


@dataclass(frozen=True, slots=True)
class Routes:
    """The answers to Keptn's calls; `served` is the one project that there is."""

    controller: Controller
    resources: Resources
    store: Store
    served: str

    def add_to(self, router: APIRouter) -> None:
        """Give each its path."""
        router.post("/api/v1/auth")(lambda: {})  # noqa: PIE807 - FastAPI cannot inspect dict
        router.get("/api/v1/metadata")(lambda: _METADATA)
        router.post("/api/v1/event", openapi_extra=json_body(validation.PostedEvent))(
            self.post_event
        )
        router.get(_CONTROL + "/event/triggered/{event_type}")(self.open_events)
        router.get(_CONTROL + "/sequence-execution")(self.executions)
        router.get(_CONTROL + "/sequence/{project}")(self.sequence_states)
        router.post(_CONTROL + "/log", openapi_extra=json_body(Log))(self.post_log)
        router.get(_CONTROL + "/log")(self.logs)
        router.get(DATASTORE)(self.events)
        for level in _LEVELS:
            path = f"{_PROJECT}{level}/resource"
            router.get(path, openapi_extra=_places(path))(self.listed)
            path += "/{uri:path}"
            router.get(path, openapi_extra=_places(path))(self.resource)

    def post_event(self, body: Posted) -> Document:
        """Take an event; its id and time are replaced."""
        event = validation.read(body)
        validation.check(event)
        return {"keptnContext": self.controller.post(event)}

    def open_events(self, event_type: str, listing: OpenEvents) -> Document:
        """Triggered task events that are due and not completed."""
        self._require(listing.texts["project"] or self.served)
        wanted = replace(listing, texts={**listing.texts, "type": event_type})
        page = self.store.page("events", wanted, OPEN)
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
        self._require(project)
        return self.store.page("executions", listing).shown("sequenceExecutions")

    def sequence_states(self, project: str, listing: States, state: str = "") -> Document:
        """One state per run."""
        wanted = Listing({**listing.texts, "project": project})
        runs = sequence.grouped(self.store.page("executions", wanted).items, "keptnContext")
        found = [run for run in runs.values() if state in ("", sequence.state_of(run))]
        page = Page.of(found, listing)
        views = [sequence.view(run, self._events_of) for run in page.items]
        return replace(page, items=views).shown("states")

    def resource(self, request: Request, commit: Commit = "") -> Document:
        """A resource's content in base64, and the version at which it was read."""
        stage, service = self._level(request)
        # The raw path, because servers decode %2F, which here is part of a name.
        escaped = request.scope["raw_path"].decode("latin-1").rpartition("/resource/")[2]
        content, version = self.resources.read(stage, service, unquote_plus(escaped), commit)
        encoded = {"resourceURI": escaped, "resourceContent": base64.b64encode(content).decode()}
        return {**encoded, "metadata": {"upstreamURL": "", "version": version}}

    def listed(self, request: Request, listing: Names) -> Document:
        """The names of a level's resources as they are now, whatever version is asked for."""
        names = self.resources.listed(*self._level(request))
        page = Page.of([{"resourceURI": name} for name in names], listing)
        counts = {"nextPageKey": str(page.following), "totalCount": page.total}
        return {"resources": page.items, **counts}

    def post_log(self, body: Posted) -> Document:
        """Keep log entries of an integration."""
        try:
            self.controller.log(Log.model_validate(validation.decoded(body)).logs)
        except ValidationError as error:
            raise Refused(400, first(error.errors())) from None
        return {}

    def logs(self, listing: Logs) -> Document:
        """Log entries of the integrations."""
        if not all(_ISO.fullmatch(listing.texts[name]) for name in _TIMES):
            raise Refused(400, "fromTime and beforeTime must look like 2006-01-02T15:04:05.000Z")
        return self.store.page("logs", listing).shown("logs")

    def _require(self, project: str) -> None:
        if project != self.served:
            raise Refused(404, "Project not found")

    def _level(self, request: Request) -> tuple[str, str]:
        """Stage and service of a path, empty where it has none."""
        place = request.path_params
        self._require(place["project"])
        return place.get("stage", ""), place.get("service", "")

    def _events_of(self, context: str, stage: str) -> list[Document]:
        wanted = Listing({"keptnContext": context, "stage": stage})
        return self.store.page("events", wanted, _SENT).items


def _places(path: str) -> Document:
    """The description of a path's parameters that the route reads itself."""
    of_text = {"in": "path", "required": True, "schema": {"type": "string"}}
    return {"parameters": [{"name": name, **of_text} for name in re.findall(r"{(\w+)", path)]}
