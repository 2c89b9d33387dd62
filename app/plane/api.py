"""The form of the plane's API: who is let in, bodies, lists, refusals. Paths are in `routes`."""

import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, FastAPI, Query, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.security import APIKeyHeader
from pydantic import BaseModel, BeforeValidator, Field, ValidationError, create_model
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from app.clock import Clock
from app.errors import Temporary
from app.events.parse import media_type
from app.plane import validation
from app.plane.resources import MAX_BYTES
from app.plane.store import Document, Listing
from app.plane.validation import Refused, first

_LOOPBACK = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d+)?", re.IGNORECASE)
_JSON = ("application/json", "application/cloudevents+json")
CONTROL = "/api/controlPlane/v1"
DATASTORE = "/api/mongodb-datastore/event"
"""The one path on which a query that cannot be is answered with 422."""

_TOKEN = APIKeyHeader(name="x-token", auto_error=False)
_FAILURES = 2.0
Model = TypeVar("Model", bound=BaseModel)


class Error(BaseModel):
    """Every refusal's body."""

    code: int
    message: str


async def _read(request: Request) -> bytes:
    """The body, if it is JSON by its type, and no larger than a file may be."""
    if media_type(request.headers.get("content-type", "")) not in _JSON:
        raise Refused(415, "the body must be JSON: Content-Type application/json")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BYTES:
            raise Refused(400, f"the body takes more than {MAX_BYTES} bytes")
    return bytes(body)


def listed_by(*names: str, size: int = 0, least: int = 0, most: int = 2**31) -> Any:
    """A dependency that reads a list's query: texts by Keptn's names, page size and offset."""
    texts = dict.fromkeys(names, (str, ""))
    page_size = (int, Field(size, ge=least, le=most))
    offset = (Annotated[int, BeforeValidator(lambda key: key or 0)], Field(0, ge=0, le=2**31))
    model = create_model("Query", **texts, pageSize=page_size, nextPageKey=offset)  # type: ignore[call-overload]

    def read(query: Annotated[model, Query()]) -> Listing:
        texts = query.model_dump()
        return Listing(offset=texts.pop("nextPageKey"), size=texts.pop("pageSize"), texts=texts)

    return Depends(read)


Posted = Annotated[bytes, Depends(_read)]


def parsed(body: bytes, model: type[Model]) -> Model:
    """The body as a value.

    Raises:
        Refused: 400 when it is none.
    """
    try:
        return model.model_validate(validation.decoded(body))
    except ValidationError as error:
        raise Refused(400, first(error.errors())) from None


def build(parts: Iterable[Callable[[APIRouter], None]], token: str, clock: Clock) -> FastAPI:
    """The whole application; it answers a loopback Host only, and with the token only."""
    local = [Depends(_loopback_only)]
    app = FastAPI(title="Embedded Keptn", docs_url=None, redoc_url=None, dependencies=local)
    app.add_middleware(_gateway)
    for failure in (Refused, Temporary, HTTPException, RequestValidationError):
        app.add_exception_handler(failure, _explain)
    app.get("/health")(lambda: {"status": "OK"})
    guard = Depends(_Guard(token, clock).require)
    router = _Router(dependencies=[guard], responses={"default": {"model": Error}})
    for add_routes in parts:
        add_routes(router)
    app.include_router(router)
    return app


def json_body(model: type[BaseModel]) -> Document:
    """The description of a body that the route reads itself."""
    schema = {"schema": model.model_json_schema()}
    return {"requestBody": {"required": True, "content": dict.fromkeys(_JSON, schema)}}


class _Router(APIRouter):
    """Answers documents as they are: a model of each would only cost memory, and time per call."""

    def add_api_route(self, path: str, endpoint: Callable[..., Any], **how: Any) -> None:
        how |= {"response_model": None, "response_class": _Answer}
        super().add_api_route(path, endpoint, **how)


class _Answer(JSONResponse):
    """Where there is nothing to tell, Keptn answers with an empty object."""

    def render(self, content: Any) -> bytes:
        return super().render({} if content is None else content)


def _gateway(app: ASGIApp) -> ASGIApp:
    """Take paths as Keptn's gateway does: slashes are merged, and files had another home once."""

    def meant(path: str) -> str:
        return re.sub("/+", "/", path).replace("/configuration-service/", "/resource-service/", 1)

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            raw = meant(scope["raw_path"].decode("latin-1")).encode("latin-1")
            scope["path"], scope["raw_path"] = meant(scope["path"]), raw
        await app(scope, receive, send)

    return call


class _Guard:
    """Lets in who knows the token; failures beyond two are answered once a second, as in Keptn."""

    def __init__(self, token: str, clock: Clock) -> None:
        self._token, self._clock = token.encode(), clock
        self._allowed, self._since = _FAILURES, clock.now()

    async def require(self, given: Annotated[str | None, Security(_TOKEN)]) -> None:
        now = self._clock.now()
        allowed = min(_FAILURES, self._allowed + max(0.0, now - self._since))
        known = given is not None and secrets.compare_digest(given.encode(), self._token)
        self._allowed, self._since = _FAILURES if known else max(0.0, allowed - 1), now
        if not known and allowed < 1:
            raise Refused(429, "too many failed attempts; wait a second")
        if not known:
            raise Refused(401, "the header x-token is missing or does not hold the token")


async def _loopback_only(request: Request) -> None:
    """Keep web pages out that reach us under a name of their own (DNS rebinding)."""
    if not _LOOPBACK.fullmatch(request.headers.get("host", "")):
        raise Refused(403, "the Host header must be 127.0.0.1, localhost or [::1]")


def _explain(request: Request, error: Exception) -> Response:
    match error:
        case Refused():
            return _refusal(error.code, str(error))
        case HTTPException():
            return _refusal(error.status_code, error.detail, error.headers)
        case RequestValidationError():
            return _refusal(422 if request.url.path == DATASTORE else 400, first(error.errors()))
        case _:
            return _refusal(503, str(error))


def _refusal(code: int, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"code": code, "message": message}, code, headers)
