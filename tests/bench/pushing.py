"""A connection to a door, for whoever plays distributor; ready bytes and no HTTP library."""

import asyncio
from typing import Self
from urllib.parse import urlsplit

from tests.bench import events


class Pusher:
    """Pushes one event after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, door: str) -> Self:
        """Connect to a door."""
        place = urlsplit(door)
        return cls(*await asyncio.open_connection(place.hostname, place.port))

    def send(self, body: bytes) -> None:
        """Put an event on the wire."""
        self._writer.write(events.request(body))

    async def accepted(self) -> None:
        """Return when it is accepted; that reply has no body."""
        reply = await self._reader.readuntil(b"\r\n\r\n")
        if not reply.startswith(b"HTTP/1.1 202"):
            raise RuntimeError(f"the door said {reply[:60]!r}")

    def close(self) -> None:
        """Hang up."""
        self._writer.close()
