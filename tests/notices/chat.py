"""A channel in memory, the couriers that carry to it, and what they made of its letters."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from app.core import Core
from app.couriers import Couriers
from app.errors import FirstmateError
from app.notifiers.channel import Channel, Notifier
from app.outbound import Outbound
from tests.conftest import event

Fail = Callable[[str], Exception | None]


@dataclass
class Chat:
    """What a channel of these tests took, and how it fails."""

    taken: list[str] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)
    missed: list[int] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    fail: Fail = lambda _: None
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.gate.set()


@dataclass(frozen=True)
class Wire(Notifier):
    """Hands letters to a `Chat`."""

    chat: Chat = field(default_factory=Chat)
    clock: Any = None

    async def deliver(self, body: str, missed: int) -> str:
        """See `Notifier.deliver`."""
        self.chat.tried.append(body)
        await self.chat.gate.wait()
        if error := self.chat.fail(body):
            raise error
        self.chat.taken.append(body)
        self.chat.missed.append(missed)
        self.chat.at.append(self.clock.now())
        return "taken"


def wire(core: Core, chat: Chat, name: str = "chat", **more: Any) -> Wire:
    channel = Channel.model_construct(name=name, **more)
    return Wire(channel, Outbound(), {}, chat, core.clock)


@asynccontextmanager
async def carrying(core: Core, *wires: Wire) -> AsyncIterator[dict[str, Notifier]]:
    """Couriers for these channels, which a test may change, at work; none may fail by itself."""
    channels: dict[str, Notifier] = {one.channel.name: one for one in wires}
    fleet = Couriers(lambda: dict(channels), core)
    core.lifecycle.wake = fleet.wake
    task = asyncio.create_task(fleet.run())
    try:
        yield channels
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def tell(
    core: Core, *ids: str, context: str = "", channels: tuple[str, ...] = ("chat",)
) -> None:
    """Events with these ids come in, one after the other."""
    for one in ids:
        found = event(
            id=one,
            type="com.example",
            shkeptncontext=context or uuid.uuid4().hex,
            data={"channels": channels},
        )
        await core.lifecycle.accept(found)


def states(core: Core) -> dict[str, str]:
    found = core.ledger.reader.execute("SELECT body, state FROM outbox")
    return {row["body"]: row["state"] for row in found}


def failing(error: FirstmateError, *ids: str) -> Fail:
    return lambda body: error if body in ids or not ids else None


def counted(core: Core, name: str) -> float:
    found = core.metrics._registry.get_sample_value(name, {"destination": "chat"})
    return found or 0.0
