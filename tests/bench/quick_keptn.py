"""The program `python -m tests.bench.quick_keptn`: the least that a service takes for Keptn's API.

Answers at once, notes when what arrived, and on order keeps so many events in flight at a door. It
validates nothing, for which there is `tests.strict`.
"""

import asyncio
import base64
import json
import random
import re
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import parse_qs

import uvicorn
import uvloop

from app import serving
from tests.bench import events
from tests.bench.pushing import Pusher

Json = dict[str, Any]
Receive = Callable[[], Awaitable[Json]]
Send = Callable[[Json], Awaitable[None]]
_MOMENT = re.compile(r"\b\d{10}\.\d+")
_LATE = 30.0


@dataclass(frozen=True)
class Order:
    """Keep `in_flight` events at the door for `seconds`; each job runs `cmd` for `job` seconds.

    The bounds of `job` reach the command by the label SECONDS, drawn evenly from between.
    """

    door: str
    config: str
    in_flight: int
    seconds: float
    job: tuple[float, float] = (0.0, 0.0)


@dataclass
class Life:
    """When an event was pushed and what came of it arrived; seconds since the epoch.

    `ended` is what the job itself printed last, if that was a time.
    """

    pushed: float
    accepted: float = 0.0
    started: float = 0.0
    ended: float = 0.0
    finished: float = 0.0
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def times(self) -> dict[str, float]:
        """All moments by name."""
        return {name: value for name, value in vars(self).items() if name != "over"}


class QuickKeptn:
    """The ASGI application."""

    def __init__(self) -> None:
        self._lives: dict[str, Life] = {}
        self._resource = b"{}"
        self._chance = random.Random(1)

    async def __call__(self, scope: Json, receive: Receive, send: Send) -> None:
        """Answer one request."""
        answer = self._resource if "/resource-service/" in scope["path"] else b"{}"
        if asked := parse_qs(scope["query_string"]).get(b"eventID"):
            answer = b'{"events": [{"id": "%s"}]}' % asked[0]  # everything is open
        if scope["method"] == "POST":
            arrived, body = time.time(), await _body(receive)
            answer = b'{"keptnContext": ""}'
            if scope["path"] == "/drive":
                answer = json.dumps(await self._drive(Order(**json.loads(body)))).encode()
            elif scope["path"].endswith("/v1/event"):
                self._note(json.loads(body), arrived)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    def _note(self, event: Json, arrived: float) -> None:
        life = self._lives.get(event["triggeredid"])
        if not life:
            return
        if event["type"].endswith(".started"):
            life.started = arrived
            return
        printed = _MOMENT.findall(event["data"]["message"])
        life.finished, life.ended = arrived, float(printed[-1]) if printed else 0.0
        life.over.set()

    async def _drive(self, order: Order) -> list[Json]:
        """The lives of all events that were pushed; each was over before the next came."""
        content = base64.b64encode(order.config.encode()).decode()
        resource = {"resourceContent": content, "metadata": {"version": "1"}}
        self._resource, self._lives = json.dumps(resource).encode(), {}
        until = time.time() + order.seconds
        async with asyncio.TaskGroup() as captains:
            for _ in range(order.in_flight):
                captains.create_task(self._command(order, until))
        return [life.times() for life in self._lives.values()]

    async def _command(self, order: Order, until: float) -> None:
        pusher = await Pusher.open(order.door)
        while time.time() < until:
            event_id = str(uuid.uuid4())
            seconds = f"{self._chance.uniform(*order.job):.3f}"
            life = self._lives[event_id] = Life(time.time())
            pusher.send(events.triggered(event_id, SECONDS=seconds))
            await pusher.accepted()
            life.accepted = time.time()
            await asyncio.wait_for(life.over.wait(), _LATE)
        pusher.close()


async def _body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body"):
            return body


async def serve() -> None:
    """Serve until the process is ended."""
    bound = serving.bind("127.0.0.1", 0, "the quick Keptn")
    config = uvicorn.Config(QuickKeptn(), lifespan="off", log_config=None)
    print(serving.url(bound), flush=True)
    await uvicorn.Server(config).serve(sockets=[bound])


def as_request(order: Order) -> bytes:
    """What POST /drive takes."""
    return json.dumps(asdict(order)).encode()


if __name__ == "__main__":
    uvloop.run(serve())
