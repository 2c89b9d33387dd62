"""Keptn's side of NATS (§1.5): what the controller publishes there, and reads from its stream.

What an event means is decided elsewhere; a project that joined no server has none.
"""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from nats.aio.client import Client
from nats.errors import Error
from nats.js.client import JetStreamContext
from nats.js.errors import ServiceUnavailableError

from tests.strict.validation import Event

STREAM, SUBJECTS, CONSUMER = "keptn", "sh.keptn.>", "shipyard-controller:all-events"


async def _ignore(_: Exception) -> None:
    """A server that dies is what a test asked for."""


@dataclass
class Joined:
    """One connection and what reads from it; `seen` is what was read, by its place there."""

    client: Client = field(default_factory=Client)
    reading: "asyncio.Task[None] | None" = None
    seen: set[int] = field(default_factory=set)


class Broker:
    """Publishes for each project at its own server; `hear` gets what the stream holds."""

    def __init__(self, hear: Callable[[bytes], None]) -> None:
        self._hear = hear
        self._joined: dict[str, Joined] = {}

    async def join(self, project: str, url: str) -> None:
        """Connect, and where there is JetStream make the stream: its name and subjects only."""
        joined = self._joined[project] = Joined()
        await joined.client.connect(
            url, max_reconnect_attempts=-1, reconnect_time_wait=0, error_cb=_ignore
        )
        stream = joined.client.jetstream()
        with suppress(ServiceUnavailableError):
            await stream.add_stream(name=STREAM, subjects=[SUBJECTS])
            joined.reading = asyncio.create_task(self._read(joined, stream))

    async def leave(self, project: str) -> None:
        """Speak to this project's server no more."""
        if joined := self._joined.pop(project, None):
            if joined.reading:
                joined.reading.cancel()
            await joined.client.close()

    async def publish(self, event: Event) -> None:
        """At most once, as the controller does."""
        if joined := self._joined.get(event["data"]["project"]):
            with suppress(Error):
                await joined.client.publish(event["type"], json.dumps(event).encode())
                await joined.client.flush()

    async def _read(self, joined: Joined, stream: JetStreamContext) -> None:
        """All that is stored, once each: what a killed server delivers again does not count."""
        messages = await stream.pull_subscribe(SUBJECTS, durable=CONSUMER)
        while True:
            try:
                for message in await messages.fetch(20, timeout=1):
                    if (place := message.metadata.sequence.stream) not in joined.seen:
                        joined.seen.add(place)
                        self._hear(message.data)
                    await message.ack()
            except (Error, OSError):
                await asyncio.sleep(0.05)
