"""The door that a distributor, or the embedded plane, pushes events to: POST /."""

import hmac
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.errors import BadEvent
from app.events import parse
from app.events.parse import Event
from app.ledger.store import LedgerFull
from app.metrics import Metrics

LOOPBACK = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d+)?", re.IGNORECASE)
"""The Host headers of those who mean this machine."""

RETRY_SECONDS = "5"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Door:
    """Takes events in structured or binary mode; 202 only after the event is on disk.

    `accept` brings an event to the disk. Who pushes must show `token`, if there is one, and, where
    the door is on `loopback`, mean this machine.
    """

    accept: Callable[[Event], Awaitable[str]]
    metrics: Metrics
    token: str = field(repr=False)
    loopback: bool = field(kw_only=True)

    def app(self, max_event_bytes: int) -> FastAPI:
        """The web application of the door."""
        app = FastAPI(title="Firstmate's event door", openapi_url=None)
        app.router.routes += [
            Route("/", self.post, methods=["POST"], max_body_size=max_event_bytes),
            Route("/health", _health, methods=["GET"]),
        ]
        return app

    async def post(self, request: Request) -> Response:
        """Accept one event."""
        if refusal := self._refusal(request):
            return self._refuse(*refusal)
        body = await request.body()
        try:
            await self.accept(parse.parse(request.headers, body))
        except BadEvent as error:
            return self._refuse(400, str(error))
        except LedgerFull as error:
            _LOG.warning("event not accepted: %s", error)
            return self._refuse(503, str(error))
        except Exception:  # noqa: BLE001 - a sender must come again, whatever is wrong with us
            _LOG.exception("event not accepted")
            return self._refuse(503, "the event could not be stored; send it again")
        return Response(status_code=202)

    def _refusal(self, request: Request) -> tuple[int, str] | None:
        """What is wrong before the body is read."""
        host = request.headers.get("host", "")
        if self.loopback and not LOOPBACK.fullmatch(host):
            return 403, f"Host {host!r} is not this machine; ask for localhost or 127.0.0.1"
        if self.token and not self._knows(request):
            return 401, "a valid token is needed, in the header x-token or as bearer"
        media_type = parse.media_type(request.headers.get("content-type", ""))
        if media_type != "application/json" and not media_type.endswith("+json"):
            what = f"Content-Type {media_type or 'missing'!r} is not JSON"
            return 415, f"{what}; use application/cloudevents+json"
        return None

    def _knows(self, request: Request) -> bool:
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        shown = request.headers.get("x-token") or bearer
        return hmac.compare_digest(shown.encode(), self.token.encode())

    def _refuse(self, status: int, message: str) -> Response:
        self.metrics.rejected.labels(str(status)).inc()
        headers = {"retry-after": RETRY_SECONDS} if status == 503 else None  # noqa: PLR2004 - HTTP
        return JSONResponse({"code": status, "message": message}, status, headers)


async def _health(_: Request) -> Response:
    return JSONResponse({"status": "OK"})
