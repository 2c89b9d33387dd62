"""Carrying notices: again until taken, in order, within a rate; what cannot go is skipped."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app import couriers
from app.core import Core
from app.couriers import Courier
from app.ledger import rows
from app.ledger.store import Ledger
from app.lifecycle import Lifecycle
from app.metrics import Metrics
from app.notifiers.channel import RateLimit
from app.outbound import NotSent, Refused, Unclear
from tests.clocks import FastClock
from tests.notices.chat import Chat, carrying, counted, failing, states, tell, wire
from tests.ship import eventually

pytestmark = pytest.mark.slow


@pytest.fixture
def clock() -> FastClock:
    return FastClock(speed=100)


@pytest.fixture
def chat() -> Chat:
    return Chat()


@pytest.fixture
async def core(tmp_path: Path, clock: FastClock) -> AsyncIterator[Core]:
    """A ledger whose events are told to the channels that their data name; a letter is the id."""
    ledger = Ledger(tmp_path)

    def announce(told: Any) -> list[tuple[str, str]]:
        return [(name, told.id) for name in told.data["channels"]]

    lifecycle = Lifecycle(ledger, clock, "firstmate", announce)
    yield Core(ledger, lifecycle, clock, Metrics(), "firstmate")
    ledger.close()


async def test_a_sequence_is_told_in_its_order_whatever_fails(core: Core, chat: Chat) -> None:
    failures = iter([NotSent("a"), Unclear("b"), None, Unclear("c"), None, NotSent("d")])
    chat.fail = lambda _: next(failures, None)
    async with carrying(core, wire(core, chat)):
        await tell(core, *"abcdef", context="one sequence")
        await eventually(lambda: set(states(core).values()) == {"done"})
    assert chat.taken == list("abcdef")


async def test_a_notice_that_always_fails_delays_only_its_own_sequence(
    core: Core, chat: Chat
) -> None:
    chat.fail = failing(Unclear("status 500"), "bad")
    async with carrying(core, wire(core, chat)):
        await tell(core, "bad", "after it", context="one sequence")
        await tell(core, *map(str, range(20)))
        await eventually(lambda: len(chat.taken) == 20)
        chat.fail = lambda _: None
        await eventually(lambda: len(chat.taken) == 22)
    assert chat.taken[-2:] == ["bad", "after it"]


async def test_a_slow_answer_holds_up_no_other_sequence(core: Core, chat: Chat) -> None:
    chat.gate.clear()
    async with carrying(core, wire(core, chat)):
        await tell(core, *map(str, range(20)))
        await eventually(lambda: len(chat.tried) == couriers.AT_ONCE)
        chat.gate.set()
        await eventually(lambda: len(chat.taken) == 20)


async def test_a_dead_channel_delays_no_other(core: Core, chat: Chat) -> None:
    dead = Chat(fail=failing(NotSent("no connection")))
    async with carrying(core, wire(core, dead, "dead"), wire(core, chat)):
        await tell(core, *map(str, range(50)), channels=("dead", "chat"))
        await eventually(lambda: len(chat.taken) == 50)
    assert dead.taken == []


async def test_while_a_channel_fails_it_is_asked_now_and_then_and_one_at_a_time(
    core: Core, chat: Chat
) -> None:
    chat.fail = failing(NotSent("no connection"))
    async with carrying(core, wire(core, chat)):
        await tell(core, *map(str, range(50)))
        await core.clock.sleep(60)
        assert len(chat.tried) < 30
        chat.fail = lambda _: None
        await eventually(lambda: rows.waiting_letters(core.ledger.reader, "chat") == 0)
    assert len(chat.taken) == 50


async def test_a_channel_that_asks_for_time_gets_it(core: Core, chat: Chat) -> None:
    refusals = iter([NotSent("status 429", after=30.0)])
    chat.fail = lambda _: next(refusals, None)
    async with carrying(core, wire(core, chat)):
        begun = core.clock.now()
        await tell(core, "a")
        await eventually(lambda: len(chat.tried) == 1)
        await tell(core, "b", "c")
        await eventually(lambda: len(chat.taken) == 3)
    assert min(chat.at) >= begun + 30


async def test_a_rate_is_kept_and_nothing_is_lost(core: Core, chat: Chat) -> None:
    limit = RateLimit(messages=3, seconds=20)
    async with carrying(core, wire(core, chat, rate_limit=limit)):
        await tell(core, *map(str, range(10)))
        await eventually(lambda: len(chat.taken) == 10)
    assert sorted(chat.taken, key=int) == list(map(str, range(10)))
    assert all(later - earlier >= 15 for earlier, later in zip(chat.at, chat.at[3:], strict=False))


@pytest.mark.parametrize("error", [None, NotSent("away")])
async def test_a_clock_that_is_set_back_silences_no_channel(
    core: Core, chat: Chat, clock: FastClock, error: NotSent | None
) -> None:
    limit = RateLimit(messages=2, seconds=20)
    async with carrying(core, wire(core, chat, rate_limit=limit)):
        await tell(core, "a", "b")
        await eventually(lambda: len(chat.taken) == 2)
        chat.fail = lambda _: error
        await tell(core, "c")
        await eventually(lambda: not error or "c" in chat.tried)
        clock.skip(-86400)
        chat.fail = lambda _: None
        await eventually(lambda: len(chat.taken) == 3)


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_refused_notice_is_skipped_and_the_next_one_tells_it(
    core: Core, chat: Chat, status: int
) -> None:
    chat.fail = failing(Refused(f"chat: status {status}", status), "bad", "worse")
    async with carrying(core, wire(core, chat)):
        await tell(core, "bad", "worse", "good", "better", context="one sequence")
        ended = {"bad": "dead", "worse": "dead", "good": "done", "better": "done"}
        await eventually(lambda: states(core) == ended)
    assert chat.missed == [2, 0]
    (note,) = {one.note for one in rows.letters(core.ledger.reader, 1)}
    assert note == f"chat: status {status}"
    assert counted(core, "firstmate_dead_letters_total") == 2


async def test_a_restart_forgets_no_dead_notice_and_tells_of_none_twice(
    core: Core, chat: Chat
) -> None:
    chat.fail = failing(Refused("chat: status 400", 400), "bad")
    async with carrying(core, wire(core, chat)):
        await tell(core, "bad")
        await eventually(lambda: states(core) == {"bad": "dead"})
    for one in ("good", "better"):
        async with carrying(replace(core, metrics=Metrics()), wire(core, chat)):
            await tell(core, one)
            await eventually(lambda one=one: one in chat.taken)
            await eventually(lambda: rows.untold(core.ledger.reader, "chat") == 0)
    assert chat.missed == [1, 0]


async def test_a_message_that_tells_of_others_tells_it_again_when_it_fails(
    core: Core, chat: Chat
) -> None:
    chat.fail = failing(Refused("chat: status 400", 400), "bad")
    async with carrying(core, wire(core, chat)):
        await tell(core, "bad")
        await eventually(lambda: states(core) == {"bad": "dead"})
        failures = iter([NotSent("no connection")])
        chat.fail = lambda _: next(failures, None)
        await tell(core, "good")
        await eventually(lambda: chat.taken == ["good"])
    assert chat.missed == [1]


@pytest.mark.parametrize("status", [404, 410])
async def test_a_revoked_address_is_waited_for_a_day_at_most(
    core: Core, chat: Chat, clock: FastClock, status: int
) -> None:
    chat.fail = failing(Refused(f"chat: status {status}", status))
    async with carrying(core, wire(core, chat)):
        await tell(core, *map(str, range(10)))
        await eventually(lambda: len(chat.tried) >= 2)
        clock.skip(couriers.PATIENCE)
        await tell(core, "young")
        await eventually(lambda: list(states(core).values()).count("dead") == 10)
        assert states(core)["young"] == "ready"
        chat.fail = lambda _: None
        await eventually(lambda: chat.taken == ["young"])
    assert chat.missed == [10]


async def test_a_letter_of_another_kind_is_skipped(core: Core, chat: Chat) -> None:
    chat.fail = lambda body: ValueError("planted") if body == "odd" else None
    async with carrying(core, wire(core, chat)):
        await tell(core, "odd", "good", context="one sequence")
        await eventually(lambda: chat.taken == ["good"])
    assert states(core)["odd"] == "dead"
    assert "planted" not in rows.letters(core.ledger.reader, 1)[0].note


async def test_channels_come_and_go_while_others_go_on(core: Core, chat: Chat) -> None:
    gone, new = Chat(fail=failing(NotSent("no connection"))), Chat()
    async with carrying(core, wire(core, chat), wire(core, gone, "gone")) as channels:
        await tell(core, "old", channels=("gone",))
        await eventually(lambda: len(gone.tried) > 0)
        del channels["gone"]
        channels["new"] = wire(core, new, "new")
        await eventually(lambda: states(core)["old"] == "dead")
        await tell(core, "a", channels=("new", "chat"))
        await eventually(lambda: new.taken == chat.taken == ["a"])
        channels["chat"] = wire(core, new, "chat", format="teams")
        await core.clock.sleep(3)
        await tell(core, "b")
        await eventually(lambda: new.taken == ["a", "b"])
    assert "no such channel" in rows.letters(core.ledger.reader, 1)[0].note


async def test_what_waits_can_be_seen_by_channel(core: Core, chat: Chat, clock: FastClock) -> None:
    chat.fail = failing(NotSent("no connection"))
    async with carrying(core, wire(core, chat)):
        await tell(core, "a", "b")
        clock.skip(100)
        lines = core.metrics.render().decode().splitlines()
        figures = dict(one.rsplit(" ", 1) for one in lines if 'channel="chat"' in one)
    assert float(figures['firstmate_notices{channel="chat"}']) == 2
    assert float(figures['firstmate_notice_age_seconds{channel="chat"}']) >= 100


async def test_a_long_queue_costs_little_to_look_at(core: Core, chat: Chat) -> None:
    """By steps of SQLite's machine, which are the same on every computer."""
    costs = []
    for number in (200, 2000):
        await asyncio.gather(*(tell(core, f"{number}-{one}") for one in range(number)))
        courier, steps = Courier(wire(core, chat), core), [0]

        def step(steps: list[int] = steps) -> None:
            steps[0] += 1

        core.ledger.reader.set_progress_handler(step, 100)
        courier._pick_up()
        core.ledger.reader.set_progress_handler(None, 100)
        for task in courier._carrying.values():
            task.cancel()
        costs.append(steps[0])
    assert costs[1] < 2 * costs[0]
