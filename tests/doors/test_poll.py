"""Events that nobody pushes: found, taken once, held back while paused; and what it costs Keptn."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from app.keptn.wanted import task_names
from tests.captain import Captain, config
from tests.clocks import FastClock
from tests.conftest import connection
from tests.ship import InstantEngine, Ship, eventually

pytestmark = pytest.mark.slow

Start = Callable[..., Ship]


@pytest.fixture
def begin(start: Start, captain: Captain) -> Start:
    """Starts services that poll the strict Keptn's API."""
    captain.put(config("true"))
    return partial(start, **connection(captain.keptn, "poll"))


async def trigger(captain: Captain, task: str = "test", **more: Any) -> str:
    """Have a task triggered that nobody delivers."""
    return await captain.trigger("", task, **more)


async def test_an_event_that_nobody_pushes_is_found_and_answered(
    begin: Start, captain: Captain
) -> None:
    engine = InstantEngine()
    begin(engine=engine)
    event_id = await trigger(captain)
    await captain.wait(event_id)
    assert captain.counts(event_id) == (1, 1)
    assert len(engine.launched) == 1


async def test_all_pages_are_read_and_each_event_is_run_once(
    begin: Start, captain: Captain
) -> None:
    ids = [await trigger(captain) for _ in range(130)]
    engine = InstantEngine()
    begin(engine=engine)
    for event_id in ids:
        await captain.wait(event_id)
        assert captain.counts(event_id) == (1, 1)
    assert len(engine.launched) == len(ids)


async def test_a_task_that_no_shipyard_told_of_is_found_when_it_is_first_seen(
    begin: Start, captain: Captain, clock: FastClock
) -> None:
    captain.put(config("true", task="brandnew"))
    ship = begin(engine=InstantEngine())
    await eventually(lambda: bool(ship.service._observer.wanted.projects))
    event_id = await trigger(captain, "brandnew")
    await captain.wait(event_id)
    assert captain.counts(event_id) == (1, 1)


async def test_the_usual_tasks_are_looked_for_while_no_shipyard_can_be_read(
    begin: Start, captain: Captain
) -> None:
    captain.keptn.faults({"where": "project", "mode": "404", "times": None})
    begin(engine=InstantEngine())
    for event_id in [await trigger(captain), await trigger(captain)]:
        await captain.wait(event_id)
        assert captain.counts(event_id) == (1, 1)


async def test_only_the_tasks_of_the_setting_are_looked_for(begin: Start, captain: Captain) -> None:
    captain.put(config("true", task=".*"))
    ship = begin(engine=InstantEngine(), keptn_tasks="mine, more")
    others, mine = await trigger(captain, "other"), await trigger(captain, "mine")
    await captain.wait(mine)
    assert captain.counts(others) == (0, 0)
    assert others not in [run.event_id for run in ship.runs()]


@pytest.mark.parametrize("mode", ["401", "404", "429", "500", "garbage", "empty", "drop_request"])
async def test_no_answer_of_keptn_ends_the_looking(
    begin: Start, captain: Captain, mode: str, clock: FastClock
) -> None:
    clock.speed = 200
    for where in ("triggered", "project", "sequence", "datastore"):
        captain.keptn.faults({"mode": mode, "where": where, "times": 4})
    begin(engine=InstantEngine())
    event_id = await trigger(captain)
    await captain.wait(event_id)
    assert captain.counts(event_id) == (1, 1)
    captain.keptn.clear_faults()


async def test_an_event_of_a_paused_run_is_left_alone_until_it_is_resumed(
    begin: Start, captain: Captain
) -> None:
    ship = begin(engine=InstantEngine())
    held = await trigger(captain, paused=True)
    free = await trigger(captain)
    await captain.wait(free)
    assert captain.counts(held) == (0, 0)
    assert held not in [run.event_id for run in ship.runs()]
    captain.keptn.steer(held, "resume")
    await captain.wait(held)
    assert captain.counts(held) == (1, 1)


async def test_a_restart_takes_no_open_event_twice(begin: Start, captain: Captain) -> None:
    engine = InstantEngine()
    ship = begin(engine=engine)
    event_id = await trigger(captain)
    await ship.until(event_id, "answered")
    await ship.stop()
    ship = begin(engine=engine)
    later = await trigger(captain)
    await captain.wait(later)
    assert (captain.counts(event_id), len(engine.launched)) == ((1, 1), 2)


async def test_a_quiet_keptn_is_asked_a_tenth_as_often_as_job_executor_asks(
    begin: Start, captain: Captain, clock: FastClock
) -> None:
    """Which asks for each type once a second."""
    tasks = "one,two,three,four,five,six"
    ship = begin(keptn_tasks=tasks)
    await eventually(lambda: bool(ship.service._observer.wanted.projects))
    clock.speed = 1000
    ship.service._observer.wanted.projects = [captain.project]  # others' tests left many more
    await asyncio.sleep(0.5)
    before, began = sum(captain.keptn.state()["requests"].values()), clock.tick()
    await asyncio.sleep(3)
    asked = sum(captain.keptn.state()["requests"].values()) - before
    seconds = clock.tick() - began
    assert asked <= 6 * seconds / 10


def test_the_names_of_all_tasks_are_read_from_any_shipyard() -> None:
    shipyard = """
    spec:
      stages:
      - name: dev
        sequences:
        - {name: a, tasks: [{name: x, properties: {tasks: [{name: no}]}}, {}, 5]}
        - {name: b}
      - {name: prod, sequences: [{name: c, tasks: [{name: y}]}]}
    """
    assert [*task_names({"shipyard": shipyard})] == ["x", "y"]
    for odd in ("{", "[]", "5", "spec: [stages]", "spec: {stages: 5}", None, 5):
        assert [*task_names({"shipyard": odd})] == []
