"""The same decisions in a running service: what Keptn hears of them, and when."""

from collections.abc import Callable
from typing import Any

import pytest

from app.planning import LATE_SECONDS
from tests.captain import Captain, config, document
from tests.clocks import FastClock
from tests.conftest import connection
from tests.ship import InstantEngine, Ship, eventually
from tests.test_planning import BROKEN, SILENT

pytestmark = pytest.mark.slow


def logged(captain: Captain, event_id: str) -> list[Any]:
    """What the Uniform log says about an event."""
    return [one for one in captain.keptn.state()["logs"] if one["triggeredid"] == event_id]


@pytest.mark.parametrize("reachable_again", [True, False])
async def test_an_unreachable_config_is_asked_for_until_nine_minutes_have_passed(
    start: Callable[..., Ship], captain: Captain, clock: FastClock, reachable_again: bool
) -> None:
    captain.put(config("true"))
    captain.spoil("500")
    ship = start(engine=InstantEngine(), **connection(captain.keptn, "sidecar"))
    event_id = await captain.trigger(ship.door)
    asked_before = captain.keptn.state()["requests"].get("resource", 0)
    await eventually(
        lambda: captain.keptn.state()["requests"].get("resource", 0) > asked_before + 2
    )
    assert ship.run(event_id).state == "received"
    assert captain.counts(event_id) == (0, 0)
    if reachable_again:
        captain.mend()
        assert (await captain.wait(event_id))["finished"] == 1
        return
    clock.skip(600)
    assert ship.run(event_id).state == "received"  # a clock that is set shortens no patience
    clock.speed *= 2  # and with it all that has passed by its ticks
    run = await ship.until(event_id, "ignored")
    assert run.reason.startswith("gave up: ")
    await eventually(lambda: bool(logged(captain, event_id)))
    (entry,) = logged(captain, event_id)
    assert entry["task"] == "test"
    assert entry["message"] == run.reason
    assert captain.counts(event_id) == (0, 0)


async def test_an_event_that_keptn_closed_meanwhile_is_left_alone(
    start: Callable[..., Ship], captain: Captain, clock: FastClock
) -> None:
    captain.put(config("true"))
    captain.spoil("500")
    ship = start(engine=InstantEngine(), **connection(captain.keptn, "sidecar"))
    event_id = await captain.trigger(ship.door)
    await captain.wait(event_id, "delivered")
    captain.keptn.abort(event_id)
    clock.skip(LATE_SECONDS)
    run = await ship.until(event_id, "ignored")
    assert run.reason == "Keptn no longer waits for an answer to this event"
    captain.mend()


async def test_a_broken_config_of_ours_ends_the_task_at_once(
    start: Callable[..., Ship], captain: Captain
) -> None:
    captain.put(BROKEN)
    engine = InstantEngine()
    ship = start(engine=engine, **connection(captain.keptn, "api"))
    event_id = await captain.trigger(ship.door)
    task = await captain.wait(event_id)
    assert (task["started"], task["finished"]) == (1, 1)
    assert ":8:5: " in captain.finished(event_id)["message"]
    assert engine.launched == []


async def test_a_silent_plan_runs_and_keptn_never_hears_of_it(
    start: Callable[..., Ship], captain: Captain
) -> None:
    captain.put(document({**SILENT, "tasks": [{"name": "Do", "cmd": ["true"]}]}))
    engine = InstantEngine()
    ship = start(engine=engine, **connection(captain.keptn, "sidecar"))
    event_id = await captain.trigger(ship.door)
    await ship.until(event_id, "answered")
    assert len(engine.launched) == 1
    assert ship.letters(event_id) == []
    assert captain.counts(event_id) == (0, 0)
