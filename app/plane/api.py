"""The plane's HTTP face: Keptn's own paths with an OpenAPI description. Codes, forms, no rules."""

import base64
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any
from urllib.parse import unquote_plus

from fastapi import APIRouter, Depends, FastAPI, Query, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.security import APIKeyHeader
from pydantic import BaseModel, Field, ValidationError, create_model
from starlette.exceptions import HTTPException

from app.errors import Temporary
from app.events.parse import media_type
from app.plane import sequence, validation
from app.plane.controller import Controller
from app.plane.resources import Resources
from app.plane.store import OPEN, Document, Listing, Page, Store
from app.plane.validation import Refused, first

_LOOPBACK = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d+)?", re.IGNORECASE)
_ISO = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)?")
_JSON = ("application/json", "application/cloudevents+json")
_TOKEN = APIKeyHeader(name="x-token", auto_error=False)
_REFUSALS = (400, 401, 403, 404, 415, 422, 500, 503)
_SENT = "phase != 'scheduled'"
_CONTROL = "/api/controlPlane/v1"
_DATASTORE = "/api/mongodb-datastore/event"
_PROJECT = "/api/resource-service/v1/project/{project}"
_LEVELS = ("", "/stage/{stage}", "/stage/{stage}/service/{service}")
_VERSIONS = {"keptnversion": "1.4.5", "shipyardversion": "0.2.0", "bridgeversion": ""}
_METADATA = {"namespace": "", "keptnlabel": "keptn", "automaticprovisioning": False, **_VERSIONS}


class Error(BaseModel):
    """Every refusal's body."""

    code: int
    message: str


class Log(BaseModel):
    """Entries for the log of an integration, each with integrationid, message, time and more."""

    logs: list[Document]


async def _posted(request: Request) -> bytes:
    """The body of a POST, if it is JSON by its type and no larger than an event may be."""
    if media_type(request.headers.get("content-type", "")) not in _JSON:
        raise Refused(415, "the body must be JSON: Content-Type application/json")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > validation.LIMIT:
            raise Refused(400, f"the body takes more than {validation.LIMIT} bytes")
    return bytes(body)


def _listing(*names: str, size: int = 0, least: int = 0, most: int = 2**31) -> Any:
    """A dependency that reads a list's query: texts by Keptn's names, page size and offset."""
    texts = dict.fromkeys(names, (str, ""))
    page_size = (int, Field(size, ge=least, le=most))
    offset = (int, Field(0, ge=0, le=2**31))
    model = create_model("Query", **texts, pageSize=page_size, nextPageKey=offset)  # type: ignore[call-overload]

    def read(query: Annotated[model, Query()]) -> Listing:
        texts = query.model_dump()
        return Listing(offset=texts.pop("nextPageKey"), size=texts.pop("pageSize"), texts=texts)

    return Depends(read)


_SCOPE = ("project", "stage", "service")
_TIMES = ("fromTime", "beforeTime")
_EVENT = (*_SCOPE, *_TIMES, "type", "source", "keptnContext", "eventID")
Posted = Annotated[bytes, Depends(_posted)]
Project = Annotated[str, Query(min_length=1)]
Commit = Annotated[str, Query(alias="gitCommitID")]
OpenEvents = Annotated[Listing, _listing(*_SCOPE, "eventID", size=20)]
Events = Annotated[Listing, _listing(*_EVENT, size=20, least=1, most=100)]
Executions = Annotated[Listing, _listing("stage", "service", "name", "status", "keptnContext")]
States = Annotated[Listing, _listing("name", "keptnContext", *_TIMES)]
Names = Annotated[Listing, _listing(size=20)]
Logs = Annotated[Listing, _listing("integrationId", *_TIMES)]


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
        router.post("/api/v1/event", openapi_extra=_body(validation.PostedEvent))(self.post_event)
        router.get(_CONTROL + "/event/triggered/{event_type}")(self.open_events)
        router.get(_CONTROL + "/sequence-execution")(self.executions)
        router.get(_CONTROL + "/sequence/{project}")(self.sequence_states)
        router.post(_CONTROL + "/log", openapi_extra=_body(Log))(self.post_log)
        router.get(_CONTROL + "/log")(self.logs)
        router.get(_DATASTORE)(self.events)
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


def build(routes: Routes, token: str) -> FastAPI:
    """The whole application; it answers a loopback Host only, and with the token only."""
    app = FastAPI(title="Keptn, embedded in Firstmate", docs_url=None, redoc_url=None)
    app.middleware("http")(_loopback_only)
    for failure in (Refused, Temporary, HTTPException, RequestValidationError):
        app.add_exception_handler(failure, _explain)
    app.get("/health")(lambda: {"status": "OK"})
    refusals: dict[int | str, Document] = {code: {"model": Error} for code in _REFUSALS}
    router = APIRouter(dependencies=[Depends(_wants(token))], responses=refusals)
    routes.add_to(router)
    app.include_router(router)
    return app


def _body(model: type[BaseModel]) -> Document:
    """The description of a body that the route reads itself."""
    schema = {"schema": model.model_json_schema()}
    return {"requestBody": {"required": True, "content": dict.fromkeys(_JSON, schema)}}


def _places(path: str) -> Document:
    """The description of a path's parameters that the route reads itself."""
    of_text = {"in": "path", "required": True, "schema": {"type": "string"}}
    return {"parameters": [{"name": name, **of_text} for name in re.findall(r"{(\w+)", path)]}


def _wants(token: str) -> Callable[[str | None], None]:
    def require(given: Annotated[str | None, Security(_TOKEN)]) -> None:
        if given is None or not secrets.compare_digest(given.encode(), token.encode()):
            raise Refused(401, "the header x-token is missing or does not hold the token")

    return require


async def _loopback_only(
    request: Request, call_next: Callable[[Request], Awaitable[Response]]
) -> Response:
    """Keep web pages out that reach us under a name of their own (DNS rebinding)."""
    if not _LOOPBACK.fullmatch(request.headers.get("host", "")):
        return _refusal(403, "the Host header must be 127.0.0.1, localhost or [::1]")
    return await call_next(request)


def _explain(request: Request, error: Exception) -> Response:
    match error:
        case Refused():
            return _refusal(error.code, str(error))
        case HTTPException():
            return _refusal(error.status_code, error.detail, error.headers)
        case RequestValidationError():
            return _refusal(422 if request.url.path == _DATASTORE else 400, first(error.errors()))
        case _:
            return _refusal(503, str(error))


def _refusal(code: int, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"code": code, "message": message}, code, headers)
