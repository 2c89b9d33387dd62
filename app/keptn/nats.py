"""The connection to Keptn's NATS: what comes is handed on, what goes is acknowledged by a stream.

What an event means, and which way it takes where there is no stream, is not known here.
"""

import asyncio
import contextlib
import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error
from nats.js.errors import APIError, NotFoundError, ServiceUnavailableError

from app.clock import Clock
from app.outbound import NotSent, Unclear

SUBJECTS = "sh.keptn.>"
ACK_SECONDS, DRAIN_SECONDS, LOOK_SECONDS, PING_SECONDS = 5.0, 5.0, 0.5, 20

DEDUPED_SECONDS = 100.0
"""How long an event may be published again: a stream that Keptn made knows its id for 120 s."""

AT_ONCE, WAITING, WAITING_BYTES = 64, 1000, 32 * 1024 * 1024
"""What is handed on at a time, and what may wait, as events and behind those as bytes."""

_LOG = logging.getLogger(__name__)


class Broker:
    """One connection, made again for ever; `group` shares events with others of this name.

    Attributes:
        missed: called when events may have been lost: before each connection, or in a flood.
    """

    def __init__(
        self, servers: Sequence[str], credentials: Path | None, group: str, clock: Clock
    ) -> None:
        self._servers = [re.sub("//.*@", "//", server) for server in servers]
        self._login, self._credentials = _login(servers[0]), credentials
        self._group, self._clock = group, clock
        self._client: Client | None = None
        self._subscription: Subscription | None = None
        self._arrived = asyncio.Queue[Msg](WAITING)
        self._stream = ""
        self.missed: Callable[[], None] = lambda: None

    @property
    def connected(self) -> bool:
        """Whether events flow."""
        return self._client is not None and self._client.is_connected

    async def run(self, receive: Callable[[bytes], Awaitable[None]]) -> None:
        """Hand on what comes, in its order and many at a time, until cancelled."""

        async def hand_on() -> None:
            while True:
                await receive((await self._arrived.get()).data)
                self._arrived.task_done()

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(hand_on())
            await self._stay_connected()

    async def drain(self) -> None:
        """Take no more events, and wait a while until those that came are handed on."""
        with contextlib.suppress(Error, OSError):
            async with asyncio.timeout(DRAIN_SECONDS):
                if self._subscription and self.connected:
                    await self._subscription.drain()  # type: ignore[no-untyped-call]
                await self._arrived.join()

    async def publish(self, event_type: str, body: str, event_id: str) -> bool:
        """Have the stream store an event; False where there is none, and nothing was published.

        Without a reply it is published again as long as the stream surely drops a second one.

        Raises:
            NotSent: no connection, or the stream takes nothing.
            Unclear: it may be stored, and publishing it again may store it twice.
        """
        if self._client is None or not self._client.is_connected:
            raise NotSent("NATS: no connection")
        begun, failures = self._clock.tick(), 0
        while True:
            try:
                self._stream = self._stream or await _find_stream(self._client, event_type)
                if self._stream:
                    await self._client.jetstream(timeout=ACK_SECONDS).publish(
                        event_type, body.encode(), headers={"Nats-Msg-Id": event_id}
                    )
                return bool(self._stream)
            except (Error, OSError) as error:
                cause = type(error).__name__
                if isinstance(error, APIError) and not failures:
                    raise NotSent(f"NATS: the stream takes nothing ({cause})") from None
                if self._clock.tick() - begun > DEDUPED_SECONDS:
                    self._stream = ""
                    raise Unclear(f"NATS: no reply ({cause})") from None
            failures += 1
            await self._clock.sleep(self._clock.backoff(failures))

    async def _stay_connected(self) -> None:
        failures = 0
        while True:
            client = Client()
            try:
                await self._connect(client)
                failures = 0
                while client.is_connected:  # not every client that closes says so
                    await self._clock.sleep(LOOK_SECONDS)
                cause = repr(client.last_error)
            except Exception as error:  # noqa: BLE001 - many unrelated types; each means the same
                cause = repr(error)
            finally:
                await client.close()
            failures += 1
            if failures == 1:
                _LOG.warning("NATS is away", extra={"cause": cause})
            await self._clock.sleep(self._clock.backoff(failures))

    async def _connect(self, client: Client) -> None:
        async def heed(_: Exception) -> None:
            self.missed()

        await client.connect(
            self._servers,
            name=self._group,
            user_credentials=self._credentials,
            **self._login,
            allow_reconnect=False,  # a new client is made instead: nothing old goes out late
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            ping_interval=PING_SECONDS,
            error_cb=heed,
        )
        self._subscription = await client.subscribe(
            SUBJECTS, self._group, cb=self._arrived.put, pending_bytes_limit=WAITING_BYTES
        )
        await client.flush()
        self._client = client
        _LOG.info("NATS is connected")
        self.missed()


def _login(server: str) -> dict[str, Any]:
    """User and password, or a token, as a URL has them, which escapes what it cannot hold."""
    found = urlsplit(server)
    if found.password is None:
        return {"token": unquote(found.username)} if found.username else {}
    return {"user": unquote(found.username or ""), "password": unquote(found.password)}


async def _find_stream(client: Client, subject: str) -> str:
    """Asked for beforehand: publishing where nobody stores would look like a lost reply."""
    try:
        return await client.jetstream(timeout=ACK_SECONDS).find_stream_name_by_subject(subject)
    except (NotFoundError, ServiceUnavailableError):
        return ""
