"""The program `python -m tests.strict.keptn`: a strict Keptn on one loopback port.

Only the process and its port live here; what is said on it is decided in the other files.
"""

import argparse
import asyncio
import json
import socket
import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from tests.strict import control
from tests.strict.controlplane import Keptn, Options
from tests.strict.routes import routes
from tests.strict.validation import Time


class Wire(HttpToolsProtocol):
    """One connection; its requests can cut it, and those of /_control are spared."""

    spared = False

    def on_message_begin(self) -> None:
        """Called by the parser at the start of every request."""
        super().on_message_begin()
        self.scope["state"]["wire"] = self


class Listener:
    """The port; a second socket that never listens keeps it ours while connections are refused."""

    def __init__(self, port: int) -> None:
        self._keeper = _bound(port)
        self.port: int = self._keeper.getsockname()[1]
        self._connections = ServerState()
        self._again: asyncio.TimerHandle | None = None

    async def open(self, app: Starlette) -> None:
        """Accept connections."""
        config = uvicorn.Config(
            app, lifespan="off", log_config=None, proxy_headers=False, timeout_keep_alive=3600
        )
        config.load()
        self._config = config
        try:
            await self._listen()
        except OSError:  # somebody who had counted on this port was quicker
            self._keeper = _bound(0)
            self.port = self._keeper.getsockname()[1]
            await self._listen()

    def refuse(self, seconds: float) -> None:
        """Close the door and every connection but the tests' own; open it again later."""
        self._server.close()
        for wire in list(self._connections.connections):
            if isinstance(wire, Wire) and not wire.spared:
                wire.transport.abort()
        loop = asyncio.get_running_loop()
        if self._again:
            self._again.cancel()
        self._again = loop.call_later(seconds, lambda: loop.create_task(self._listen()))

    async def _listen(self) -> None:
        self._server = await asyncio.get_running_loop().create_server(
            lambda: Wire(self._config, self._connections, {}), sock=_bound(self.port), backlog=2048
        )


def _bound(port: int) -> socket.socket:
    # asyncio switches Nagle's algorithm off only where the protocol is named
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(("127.0.0.1", port))
    return made


async def serve(port: int, options: Options, *, tethered: bool) -> None:
    """Run for ever, or until the process that started us is gone and our standard input ends."""
    listener = Listener(port)
    keptn = Keptn(options, listener.refuse)
    # A client that was killed in the middle of its request is nothing to report.
    gone = {ClientDisconnect: lambda *_: Response(status_code=400)}
    app = Starlette(routes=[control.mount(keptn), *routes(keptn)], exception_handlers=gone)
    await listener.open(app)
    print(json.dumps({"port": listener.port}), flush=True)
    await (asyncio.to_thread(sys.stdin.read) if tethered else asyncio.Event().wait())


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.strict.keptn")
    parser.add_argument("--port", type=int, default=0, help="0 is a free one, which is printed")
    parser.add_argument("--token", required=True)
    parser.add_argument("--door", default="", help="where triggered events are pushed to")
    parser.add_argument("--pace", type=float, default=1.0, help="factor on delivery waits")
    parser.add_argument("--speed", type=float, default=1.0, help="of Keptn's clock")
    parser.add_argument("--origin", type=float, default=0.0, help="when it began to be fast")
    parser.add_argument("--remote", action="store_true", help="the sidecar forwards to the API")
    parser.add_argument("--version", default="1.4.5", help="of Keptn, from 0.17 on")
    parser.add_argument("--tethered", action="store_true", help="end when standard input ends")
    given = vars(parser.parse_args())
    port, tethered = given.pop("port"), given.pop("tethered")
    Time.origin, Time.speed = given.pop("origin"), given.pop("speed")
    asyncio.run(serve(port, Options(**given), tethered=tethered))


if __name__ == "__main__":
    main()
