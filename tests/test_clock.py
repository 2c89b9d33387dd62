"""Waiting ends when it should: at the event, at the time, and when it is called off."""

import asyncio

import pytest

from app.clock import Clock
from tests.clocks import FastClock


def test_pauses_double_from_half_a_second_to_the_longest() -> None:
    clock = FastClock()
    pauses = [clock.backoff(failures) / clock.jitter() for failures in (1, 2, 3, 5, 6, 9999)]
    assert pauses == [0.5, 1, 2, 8, 15, 15]
    assert clock.backoff(9, longest=5) / clock.jitter() == 5


async def test_waiting_ends_at_the_event_or_at_the_time() -> None:
    event = asyncio.Event()
    await Clock().wait(event, 0.001)
    assert not event.is_set()
    event.set()
    await Clock().wait(event, None)


@pytest.mark.parametrize("turns", range(5))
async def test_a_wait_that_is_called_off_as_its_event_comes_does_not_go_on(turns: int) -> None:
    event = asyncio.Event()

    async def wait_on_and_on() -> None:
        while True:
            event.clear()
            await Clock().wait(event, 60)

    task = asyncio.create_task(wait_on_and_on())
    await asyncio.sleep(0.01)
    event.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task], timeout=1)
    assert task.cancelled()
