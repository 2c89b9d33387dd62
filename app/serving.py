"""Web servers inside our own loop: sockets bound before anything is promised, no signal handling.

What is served is handed in; nothing here knows an application.
"""

import contextlib
import os
import secrets
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from app.errors import Permanent

_Quiet = partial(
    uvicorn.Config, log_config=None, access_log=False, lifespan="off", server_header=False
)


class Listener(uvicorn.Server):
    """One application on one bound socket."""

    def __init__(self, app: FastAPI, bound: socket.socket) -> None:
        super().__init__(_Quiet(app, timeout_graceful_shutdown=5))
        self._bound = bound

    async def run_until_stopped(self) -> None:
        """Serve until `should_exit` is set."""
        await self.serve(sockets=[self._bound])

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals belong to the whole service, not to one of its servers."""
        yield


def bind(host: str, port: int, what: str) -> socket.socket:
    """A listening socket; port 0 takes a free one.

    Raises:
        Permanent: naming what could not listen, where, and why.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP, so that the event loop switches off Nagle's delay on its connections.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        bound.listen(1024)
    except OSError as error:
        bound.close()
        raise Permanent(f"{what} cannot listen on {host}:{port}: {error.strerror}") from None
    return bound


def url(bound: socket.socket) -> str:
    """Where a socket listens, as others on this machine reach it."""
    host, port = bound.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "::1": "[::1]"}.get(host, host)  # noqa: S104
    return f"http://{host}:{port}"


def token(file: Path) -> str:
    """The token in a file, made at the first start, readable by its owner only."""
    with contextlib.suppress(FileExistsError):
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as new:
            new.write(secrets.token_urlsafe(32))
    return file.read_text().strip()
