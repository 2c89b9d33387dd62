"""Whatever the door: what Keptn closed is ended, what it misses is sent, what is lost is told."""

import asyncio
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from app.events import build
from tests.captain import Captain, config
from tests.clocks import FastClock
from tests.conftest import connection, document
from tests.ship import InstantEngine, Ship, eventually
from tests.test_planning_live import logged
from tests.test_worker import GatedEngine

Start = Callable[..., Ship]
pytestmark = pytest.mark.slow


@pytest.fixture(params=["sidecar", "api", "poll"])
def begin(start: Start, captain: Captain, request: pytest.FixtureRequest) -> Start:
    """Starts services that are pushed to, or that poll."""
    captain.put(config("true"))
    return partial(start, **connection(captain.keptn, request.param))


@pytest.fixture
def clock() -> FastClock:
    return FastClock(speed=60)


class CancellableEngine(GatedEngine):
    """An engine that remembers what it was told to end."""

    def __init__(self) -> None:
        super().__init__()
        self.cancelled: list[str] = []

    async def cancel(self, key: str) -> None:
        self.cancelled.append(key)


async def test_an_aborted_run_is_cancelled_on_its_engine_and_closed(
    begin: Start, captain: Captain
) -> None:
    engine = CancellableEngine()
    ship = begin(engine=engine)
    event_id = await captain.trigger(ship.door)
    await captain.wait(event_id, "started")
    await eventually(lambda: len(engine.launched) == 1)
    captain.keptn.abort(event_id)
    run = await ship.until(event_id, "refused")
    assert run.reason == "Keptn no longer waits for an answer to this event"
    assert engine.cancelled == engine.launched
    assert captain.counts(event_id) == (1, 0)

    async def is_idle() -> bool:
        return (await ship.figures())["firstmate_running"] == 0

    await eventually(is_idle)


async def test_an_abort_is_heeded_in_seconds_however_quiet_it_was_before(
    begin: Start, captain: Captain, clock: FastClock
) -> None:
    clock.speed = 4
    ship = begin(engine=CancellableEngine())
    await asyncio.sleep(5 / clock.speed)  # so that all was compared, and will not be for a minute
    event_id = await captain.trigger(ship.door)
    await captain.wait(event_id, "started")
    captain.keptn.abort(event_id)
    await ship.until(event_id, "refused")


async def test_an_aborted_run_that_still_waits_for_a_slot_is_never_launched(
    begin: Start, captain: Captain
) -> None:
    engine = CancellableEngine()
    ship = begin(engine=engine, max_running=1)
    ids = [await captain.trigger(ship.door) for _ in range(2)]
    for event_id in ids:
        await captain.wait(event_id, "started")
    await eventually(lambda: len(engine.launched) == 1)
    running, queued = sorted(ids, key=lambda one: ship.run(one).state == "planned")
    captain.keptn.abort(queued)
    engine.gate.set()
    await captain.wait(running)
    await ship.until(queued, "refused")
    assert len(engine.launched) == 1


async def test_a_queued_run_is_not_launched_while_its_sequence_is_paused(
    begin: Start, captain: Captain, clock: FastClock
) -> None:
    engine = CancellableEngine()
    ship = begin(engine=engine, max_running=1)
    ids = [await captain.trigger(ship.door) for _ in range(2)]
    for event_id in ids:
        await captain.wait(event_id, "started")
    await eventually(lambda: len(engine.launched) == 1)
    running, queued = sorted(ids, key=lambda one: ship.run(one).state == "planned")
    captain.keptn.steer(queued, "pause")
    await eventually(lambda: bool(ship.service._worker.paused))
    engine.gate.set()
    await captain.wait(running)
    await asyncio.sleep(20 / clock.speed)
    assert (ship.run(queued).state, len(engine.launched)) == ("planned", 1)
    captain.keptn.steer(queued, "resume")
    await captain.wait(queued)
    assert captain.counts(queued) == (1, 1)


async def test_an_answer_that_keptn_lost_although_it_took_it_is_sent_again(
    begin: Start, captain: Captain
) -> None:
    ship = begin(engine=InstantEngine())
    captain.fault("lose_200", kind_of_event="finished")
    event_id = await captain.trigger(ship.door)
    await ship.until(event_id, "answered")
    await captain.wait(event_id, seconds=20)
    assert captain.counts(event_id) == (1, 1)


async def test_what_was_started_before_the_disk_was_lost_is_told_and_not_run_again(
    begin: Start, captain: Captain, tmp_path: Path
) -> None:
    engine = CancellableEngine()
    ship = begin(engine=engine)
    event_id = await captain.trigger(ship.door)
    await captain.wait(event_id, "started")
    await ship.stop()
    shutil.rmtree(tmp_path / "data")
    later = InstantEngine()
    ship = begin(engine=later)
    if not ship.service.settings.polls:
        path = "/controlPlane/v1/event/triggered/sh.keptn.event.test.triggered"
        found = captain.keptn.http.get(path, params={"eventID": event_id}).json()["events"]
        await ship.post(found[0])  # a distributor that restarts delivers all that is open
    run = await ship.until(event_id, "ignored")
    assert run.reason.startswith("Keptn has a `started` of ours of which")
    await eventually(lambda: bool(logged(captain, event_id)))
    assert later.launched == []
    assert captain.counts(event_id) == (1, 0)


async def test_an_event_that_was_lost_on_its_way_is_found(begin: Start, captain: Captain) -> None:
    ship = begin(engine=InstantEngine())
    await captain.wait(await captain.trigger(ship.door))
    lost = await captain.trigger("")
    await captain.wait(lost)
    assert captain.counts(lost) == (1, 1)


async def test_a_silent_run_outlives_the_event_that_it_is_for(
    begin: Start, captain: Captain, clock: FastClock
) -> None:
    captain.put(config("true").replace('"name": "Act"', '"name": "Act", "silent": true'))
    engine = CancellableEngine()
    ship = begin(engine=engine)
    event_id = await captain.trigger(ship.door)
    await eventually(lambda: len(engine.launched) == 1)
    captain.keptn.abort(event_id)
    await asyncio.sleep(30 / clock.speed)
    engine.gate.set()
    await ship.until(event_id, "answered")
    assert engine.cancelled == []


async def test_a_list_that_is_empty_for_a_while_ends_nothing_that_keptn_waits_for(
    begin: Start, captain: Captain, clock: FastClock
) -> None:
    engine = CancellableEngine()
    ship = begin(engine=engine)
    event_id = await captain.trigger(ship.door)
    await captain.wait(event_id, "started")
    await eventually(lambda: all(one.state == "done" for one in ship.letters(event_id)))
    captain.fault("no_events", where="triggered", times=None)
    await asyncio.sleep(90 / clock.speed)
    captain.mend()
    engine.gate.set()
    await captain.wait(event_id)
    assert captain.counts(event_id) == (1, 1)
    assert engine.cancelled == []


@pytest.mark.parametrize("age", [0.0, 200.0, 1e8])
async def test_an_event_of_no_sequence_that_somebody_sent_to_try_us_out_runs_to_its_end(
    begin: Start, captain: Captain, clock: FastClock, age: float
) -> None:
    engine = CancellableEngine()
    ship = begin(engine=engine)
    scope = {"project": captain.project, "stage": "s", "service": "svc"}
    await ship.post(document(id="by-hand", data=scope, time=build.timestamp(clock.now() - age)))
    await eventually(lambda: len(engine.launched) == 1)
    await asyncio.sleep(90 / clock.speed)
    engine.gate.set()
    await ship.until("by-hand", "answered")
    assert engine.cancelled == []


async def test_events_sent_by_hand_wait_for_a_slot_and_survive_a_restart(
    begin: Start, captain: Captain
) -> None:
    engine = CancellableEngine()
    ship = begin(engine=engine, max_running=1)
    scope = {"project": captain.project, "stage": "s", "service": "svc"}
    for number in range(2):
        await ship.post(document(id=f"by-hand-{number}", data=scope))
    await eventually(lambda: len(engine.launched) == 1)
    await ship.until("by-hand-1", "planned")
    await ship.stop()
    ship = begin(engine=InstantEngine())
    for number in range(2):
        await ship.until(f"by-hand-{number}", "answered")
