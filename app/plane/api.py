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
from app.plane import states, validation
from app.plane.controller import Controller
from app.plane.refused import Refused, first
from app.plane.resources import Level, Resources
from app.plane.store import Document, Listing, Page, Store

_LOOPBACK = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d+)?", re.IGNORECASE)
_JSON = ("application/json", "application/cloudevents+json")
_DATASTORE = "/api/mongodb-datastore/event"
_PROJECT = "/api/resource-service/v1/project/{project}"
_RESOURCE_PATHS = (
    _PROJECT + "/resource/{uri:path}",
    _PROJECT + "/stage/{stage}/resource/{uri:path}",
    _PROJECT + "/stage/{stage}/service/{service}/resource/{uri:path}",
)
_SCOPE = ("project", "stage", "service")
_TIMES = ("fromTime", "beforeTime")
_IDS = ("keptnContext", "eventID")
_ISO = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)?")
_TEXT = {"type": "string"}
_TOKEN = APIKeyHeader(name="x-token", auto_error=False)
_OPEN = "phase IN ('open', 'taken')"
_SENT = "phase != 'scheduled'"
_METADATA = {"namespace": "", "keptnlabel": "keptn", "keptnversion": "1.4.5", "bridgeversion": ""}


@dataclass(frozen=True, slots=True)
class Parts:
    """What the routes speak to; `project` is the one that is served."""

    controller: Controller
    resources: Resources
    store: Store
    project: str


class Error(BaseModel):
    """Every refusal's body."""

    code: int
    message: str


class LogEntry(BaseModel):
    """One entry of an integration's log."""

    integrationid: str = ""
    message: str = ""
    time: str = ""
    shkeptncontext: str = ""
    task: str = ""
    triggeredid: str = ""
    gitcommitid: str = ""


class LogEntries(BaseModel):
    """What is posted to the log."""

    logs: list[LogEntry]


def build(parts: Parts, token: str) -> FastAPI:
    """The whole application; it answers a loopback Host only, and with the token only."""
    app = FastAPI(title="Keptn, embedded in Firstmate", docs_url=None, redoc_url=None)
    app.middleware("http")(_loopback_only)
    for failure in (Refused, Temporary, HTTPException, RequestValidationError):
        app.add_exception_handler(failure, _explain)
    app.get("/health")(lambda: {"status": "OK"})
    codes = (400, 401, 403, 404, 415, 422, 500, 503)
    documented: dict[int | str, Document] = dict.fromkeys(codes, {"model": Error})
    router = APIRouter(dependencies=[Depends(_wants(token))], responses=documented)
    for add in (_add_service, _add_events, _add_sequences, _add_resources, _add_log):
        add(router, parts)
    app.include_router(router)
    return app


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


Posted = Annotated[bytes, Depends(_posted)]


def _listing(*names: str, size: int = 0, least: int = 0, most: int = 2**31) -> Any:
    """A dependency that reads a list's query: texts by Keptn's names, page size and offset."""
    fields: dict[str, Any] = {name: (str, "") for name in names}
    fields["pageSize"] = (int, Field(size, ge=least, le=most))
    fields["nextPageKey"] = (int, Field(0, ge=0, le=2**31))
    model = create_model("Query", **fields)

    def read(query: Annotated[model, Query()]) -> Listing:
        texts = query.model_dump()
        return Listing(offset=texts.pop("nextPageKey"), size=texts.pop("pageSize"), texts=texts)

    return Depends(read)


def _add_service(router: APIRouter, _: Parts) -> None:
    @router.post("/api/v1/auth")
    def authenticate() -> Document:
        """Nothing but the check of the token."""
        return {}

    @router.get("/api/v1/metadata")
    def metadata() -> Document:
        """What a client asks to learn Keptn's version."""
        return {**_METADATA, "shipyardversion": "0.2.0", "automaticprovisioning": False}


def _add_events(router: APIRouter, parts: Parts) -> None:
    @router.post("/api/v1/event", openapi_extra=_body_of(validation.PostedEvent))
    def post_event(body: Posted) -> Document:
        """Take an event; its id and time are replaced."""
        event = validation.read(body)
        validation.check(event)
        return {"keptnContext": parts.controller.post(event)}

    @router.get("/api/controlPlane/v1/event/triggered/{eventType}")
    def open_events(
        eventType: str,  # noqa: N803 - Keptn's name
        listing: Annotated[Listing, _listing(*_SCOPE, "eventID", size=20)],
    ) -> Document:
        """Triggered task events that are due and not completed."""
        if listing.texts["project"] not in ("", parts.project):
            raise Refused(404, "Project not found")
        wanted = replace(listing, texts={**listing.texts, "type": eventType})
        listed = _listed("events", parts.store.page("events", wanted, _OPEN))
        return {**listed, "nextPageKey": str(listed.get("nextPageKey", 0))}

    @router.get(_DATASTORE)
    def events(
        listing: Annotated[
            Listing,
            _listing(*_SCOPE, *_TIMES, "type", "source", *_IDS, size=20, least=1, most=100),
        ],
    ) -> Document:
        """Every stored event; without project and context only those that have no project."""
        scoped = listing.texts["project"] or listing.texts["keptnContext"]
        condition = _SENT if scoped else f"{_SENT} AND project IS NULL"
        listed = _listed("events", parts.store.page("events", listing, condition))
        if "nextPageKey" in listed:
            listed["nextPageKey"] = str(listed["nextPageKey"])
        return {**listed, "pageSize": listing.size}


def _add_sequences(router: APIRouter, parts: Parts) -> None:
    @router.get("/api/controlPlane/v1/sequence-execution")
    def executions(
        project: Annotated[str, Query(min_length=1)],
        listing: Annotated[Listing, _listing("stage", "service", "name", "status", "keptnContext")],
    ) -> Document:
        """Executions with every started and finished that was counted."""
        if project != parts.project:
            raise Refused(404, "Project not found")
        return _listed("sequenceExecutions", parts.store.page("executions", listing))

    @router.get("/api/controlPlane/v1/sequence/{project}")
    def sequence_states(
        project: str,
        listing: Annotated[Listing, _listing("name", "keptnContext", *_TIMES)],
        state: str = "",
    ) -> Document:
        """One state per run."""
        texts = {**listing.texts, "project": project}
        found = states.runs(parts.store.page("executions", Listing(texts)).items)
        runs = [run for run in found if state in ("", states.state_of(run))]
        end = min(listing.offset + (listing.size or len(runs)), len(runs))
        shown = [states.view(run, events_of) for run in runs[listing.offset : end]]
        return _listed("states", Page(shown, len(runs), end if end < len(runs) else 0))

    def events_of(context: str, stage: str) -> list[Document]:
        wanted = Listing({"keptnContext": context, "stage": stage})
        return parts.store.page("events", wanted, _SENT).items


def _add_resources(router: APIRouter, parts: Parts) -> None:
    def resource(
        request: Request, commit: Annotated[str, Query(alias="gitCommitID")] = ""
    ) -> Document:
        """A resource's content in base64, and the version at which it was read."""
        place = request.path_params
        if place["project"] != parts.project:
            raise Refused(404, "Project not found")
        # The raw path, because servers decode %2F, which here is part of a name.
        escaped = request.scope["raw_path"].decode("latin-1").rpartition("/resource/")[2]
        level = Level(place.get("stage", ""), place.get("service", ""))
        content, version = parts.resources.read(level, unquote_plus(escaped), commit)
        return {
            "resourceURI": escaped,
            "resourceContent": base64.b64encode(content).decode(),
            "metadata": {"upstreamURL": "", "version": version},
        }

    for path in _RESOURCE_PATHS:
        names = re.findall(r"{(\w+)", path)
        described = [
            {"name": name, "in": "path", "required": True, "schema": _TEXT} for name in names
        ]
        router.get(path, openapi_extra={"parameters": described})(resource)


def _add_log(router: APIRouter, parts: Parts) -> None:
    @router.post("/api/controlPlane/v1/log", openapi_extra=_body_of(LogEntries))
    def post_log(body: Posted) -> Document:
        """Keep log entries of an integration."""
        try:
            entries = LogEntries.model_validate_json(body).logs
        except ValidationError as error:
            raise Refused(400, first(error.errors())) from None
        parts.controller.log([entry.model_dump() for entry in entries])
        return {}

    @router.get("/api/controlPlane/v1/log")
    def logs(listing: Annotated[Listing, _listing("integrationId", *_TIMES)]) -> Document:
        """Log entries of the integrations."""
        if not all(_ISO.fullmatch(listing.texts[name]) for name in _TIMES):
            raise Refused(400, "fromTime and beforeTime must look like 2006-01-02T15:04:05.000Z")
        return _listed("logs", parts.store.page("logs", listing))


def _listed(name: str, page: Page) -> Document:
    counts = {"totalCount": page.total, "nextPageKey": page.next_offset}
    return {name: page.items, **{key: count for key, count in counts.items() if count}}


def _body_of(model: type[BaseModel]) -> Document:
    """The description of a body that the route reads itself."""
    schema = {"schema": model.model_json_schema()}
    return {"requestBody": {"required": True, "content": dict.fromkeys(_JSON, schema)}}


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
