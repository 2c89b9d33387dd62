"""The program `python -m tests.bench.doors KIND FOLDER`: a door without a service behind it.

bare is an ASGI function, durable the real door over the real lifecycle and ledger, no-store the
same over a ledger that keeps nothing. No worker is started: only acceptance is there.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import uvloop
from fastapi import FastAPI

from app import serving
from app.clock import Clock
from app.doors.push import Door
from app.events.parse import Event
from app.ledger.store import Ledger
from app.lifecycle import Lifecycle
from app.metrics import Metrics

LARGEST = 2 * 1024 * 1024
Send = Callable[[dict[str, Any]], Awaitable[None]]


async def bare(scope: object, receive: object, send: Send) -> None:
    """The least that a server can do."""
    headers = [(b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 202, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


class Forgetful(Ledger):
    """Says at once that all is on disk, and keeps nothing."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def write(self, *_: object, **__: object) -> "asyncio.Future[Any]":
        """Forget the work."""
        answer: asyncio.Future[Any] = self._loop.create_future()
        answer.set_result(1)
        return answer


def application(kind: str, folder: Path) -> FastAPI:
    """What is served."""
    if kind == "bare":
        return cast("FastAPI", bare)
    ledger = Ledger(folder) if kind == "durable" else Forgetful()
    lifecycle = Lifecycle(ledger, Clock(), "firstmate")

    async def accept(event: Event) -> str:
        return (await lifecycle.accept(event))[0]

    return Door(accept, Metrics(), "", loopback=True).app(LARGEST)


async def serve(kind: str, folder: Path) -> None:
    """Serve until the process is ended."""
    bound = serving.bind("127.0.0.1", 0, "the bench's door")
    app = application(kind, folder)
    print(serving.url(bound), flush=True)
    await serving.Listener(app, bound).run_until_stopped()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], Path(sys.argv[2])))
