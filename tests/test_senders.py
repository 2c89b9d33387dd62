"""Carrying the outbox: in order per run, never twice at once, one by one after a failure."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from app.core import Core
from app.events.build import Outcome
from app.ledger import rows
from app.ledger.rows import Letter
from app.outbound import NotSent, Unclear
from app.senders import Channel, Sender
from tests.clocks import FastClock
from tests.conftest import event
from tests.ship import eventually

Sent = tuple[int, str]


class Wire(Channel):
    """A destination that tests can slow down, break, or let lose what it took."""

    name = "keptn"

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.under_way: list[Sent] = []
        self.crowd = 0
        self.collided = False
        self.proves = True
        self.has: set[int] = set()
        self.hold: set[int] = set()
        self.fail: Callable[[Letter], Exception | None] = lambda _: None
        self.gate = asyncio.Event()
        self.gate.set()

    async def send(self, letter: Letter) -> bool:
        one = (letter.run, letter.kind)
        self.collided |= letter.run in [run for run, _ in self.under_way]
        self.under_way.append(one)
        self.crowd = max(self.crowd, len(self.under_way))
        try:
            await (asyncio.Event() if letter.run in self.hold else self.gate).wait()
        finally:
            self.under_way.remove(one)
        self.sent.append(one)
        if error := self.fail(letter):
            raise error
        return self.proves

    async def arrived(self, letters: Sequence[Letter]) -> set[int]:
        return self.has & {letter.id for letter in letters}


@pytest.fixture
def clock() -> FastClock:
    return FastClock(speed=100)


@pytest.fixture
def wire() -> Wire:
    return Wire()


@asynccontextmanager
async def sending(core: Core, wire: Wire, in_flight: int = 32) -> AsyncIterator[None]:
    """A sender at work; a fault of its own is a failure of the test."""
    sender = Sender(wire, core, in_flight=in_flight)
    core.lifecycle.wake = sender.wake
    faults: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    task = asyncio.create_task(sender.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert faults == []
    assert not wire.collided


async def answered(core: Core, number: int) -> list[int]:
    """So many more runs that owe a started and a finished each."""
    ids = []
    for _ in range(number):
        _, run_id = await core.lifecycle.accept(event(id=uuid.uuid4().hex))
        assert run_id is not None
        run = rows.run(core.ledger.reader, run_id)
        await core.lifecycle.plan(run, "{}", answered=True)
        await core.lifecycle.answer(run, Outcome("succeeded", "pass"), answered=True)
        ids.append(run_id)
    return ids


def states(core: Core, run_id: int) -> list[str]:
    return [one.state for one in rows.letters(core.ledger.reader, run_id)]


async def test_the_messages_of_a_run_go_in_their_order(core: Core, wire: Wire) -> None:
    ids = await answered(core, 20)
    async with sending(core, wire):
        await eventually(lambda: len(wire.sent) == 40)
    for run_id in ids:
        assert [kind for run, kind in wire.sent if run == run_id] == ["started", "finished"]


async def test_no_more_are_under_way_than_allowed(core: Core, wire: Wire) -> None:
    await answered(core, 10)
    wire.gate.clear()
    async with sending(core, wire, in_flight=3):
        await eventually(lambda: len(wire.under_way) == 3)
        wire.gate.set()
        await eventually(lambda: len(wire.sent) == 20)
    assert wire.crowd == 3


async def test_while_the_destination_fails_one_letter_goes_at_a_time(
    core: Core, wire: Wire
) -> None:
    wire.fail = lambda _: NotSent("away")
    await answered(core, 1)
    async with sending(core, wire):
        await eventually(lambda: len(wire.sent) >= 1)
        wire.crowd = 0
        await answered(core, 10)
        await eventually(lambda: len(wire.sent) >= 4)
        assert wire.crowd == 1
        wire.fail = lambda _: None
        await eventually(lambda: len(set(wire.sent)) == 22)


async def test_a_clock_that_is_set_back_keeps_no_letter_waiting(
    core: Core, wire: Wire, clock: FastClock
) -> None:
    wire.fail = lambda _: NotSent("away")
    await answered(core, 1)
    async with sending(core, wire):
        await eventually(lambda: len(wire.sent) >= 2)
        clock.skip(-86400)
        wire.fail = lambda _: None
        await eventually(lambda: len(set(wire.sent)) == 2)


async def test_what_was_accepted_without_proof_is_sent_again_until_it_is_there(
    core: Core, wire: Wire
) -> None:
    wire.proves = False
    (run_id,) = await answered(core, 1)
    async with sending(core, wire):
        await eventually(lambda: len(wire.sent) >= 4)
        wire.has = {one.id for one in rows.letters(core.ledger.reader, run_id)}
        await eventually(lambda: states(core, run_id) == ["done", "done"])


async def test_a_letter_that_goes_again_slowly_is_not_sent_a_second_time_meanwhile(
    core: Core, wire: Wire
) -> None:
    wire.proves = False
    (run_id,) = await answered(core, 1)
    async with sending(core, wire):
        await eventually(lambda: states(core, run_id) == ["sent", "sent"])
        wire.gate.clear()
        await eventually(lambda: len(wire.under_way) == 1)
        for _ in range(8):
            await core.clock.sleep(1)
            core.lifecycle.wake()
        wire.gate.set()
        wire.has = {one.id for one in rows.letters(core.ledger.reader, run_id)}
        await eventually(lambda: states(core, run_id) == ["done", "done"])


async def test_a_letter_that_takes_long_does_not_delay_the_others_next_attempt(
    core: Core, wire: Wire
) -> None:
    slow, failing = await answered(core, 2)
    wire.hold = {slow}
    wire.fail = lambda letter: Unclear("lost") if letter.run == failing else None
    async with sending(core, wire):
        await eventually(lambda: (failing, "started") in wire.sent)
        wire.fail = lambda _: None
        await eventually(lambda: wire.sent.count((failing, "started")) == 2)
        assert (slow, "started") in wire.under_way


async def test_a_sender_that_ended_has_nothing_under_way(core: Core) -> None:
    """For what comes next is that the ledger and the network are closed."""

    class SlowToLetGo(Wire):
        async def send(self, letter: Letter) -> bool:
            try:
                return await super().send(letter)
            finally:
                await asyncio.sleep(0.01)
                self.sent.append((letter.run, "let go"))

    wire = SlowToLetGo()
    wire.gate.clear()
    ids = await answered(core, 2)
    async with sending(core, wire):
        await eventually(lambda: len(wire.under_way) == 2)
    assert wire.sent == [(one, "let go") for one in ids]
