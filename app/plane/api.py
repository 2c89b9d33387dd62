"""The form of the plane's API: who is let in, bodies, lists, refusals. Paths are in `routes`."""

import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Query, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.security import APIKeyHeader
from pydantic import BaseModel, Field, create_model
from starlette.exceptions import HTTPException

from app.errors import Temporary
from app.events.parse import media_type
from app.plane import validation
from app.plane.store import Document, Listing
from app.plane.validation import Refused, first

_LOOPBACK = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d+)?", re.IGNORECASE)
_JSON = ("application/json", "application/cloudevents+json")
DATASTORE = "/api/mongodb-datastore/event"
"""The one path on which a query that cannot be is answered with 422."""

_TOKEN = APIKeyHeader(name="x-token", auto_error=False)
_REFUSALS = (400, 401, 403, 404, 415, 422, 500, 503)


class Error(BaseModel):
    """Every refusal's body."""

    code: int
    message: str


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


def listed_by(*names: str, size: int = 0, least: int = 0, most: int = 2**31) -> Any:
    """A dependency that reads a list's query: texts by Keptn's names, page size and offset."""
    texts = dict.fromkeys(names, (str, ""))
    page_size = (int, Field(size, ge=least, le=most))
    offset = (int, Field(0, ge=0, le=2**31))
    model = create_model("Query", **texts, pageSize=page_size, nextPageKey=offset)  # type: ignore[call-overload]

    def read(query: Annotated[model, Query()]) -> Listing:
        texts = query.model_dump()
        return Listing(offset=texts.pop("nextPageKey"), size=texts.pop("pageSize"), texts=texts)

    return Depends(read)


Posted = Annotated[bytes, Depends(_posted)]


def build(add_routes: Callable[[APIRouter], None], token: str) -> FastAPI:
    """The whole application; it answers a loopback Host only, and with the token only."""
    app = FastAPI(title="Keptn, embedded in Firstmate", docs_url=None, redoc_url=None)
    app.middleware("http")(_loopback_only)
    for failure in (Refused, Temporary, HTTPException, RequestValidationError):
        app.add_exception_handler(failure, _explain)
    app.get("/health")(lambda: {"status": "OK"})
    refusals: dict[int | str, Document] = {code: {"model": Error} for code in _REFUSALS}
    router = APIRouter(dependencies=[Depends(_wants(token))], responses=refusals)
    add_routes(router)
    app.include_router(router)
    return app


def json_body(model: type[BaseModel]) -> Document:
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
            return _refusal(422 if request.url.path == DATASTORE else 400, first(error.errors()))
        case _:
            return _refusal(503, str(error))


def _refusal(code: int, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"code": code, "message": message}, code, headers)
