"""When and how many: slots, duplicates, drain, and what a restarted service takes up again."""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from app.engines.contract import Ended, Work
from tests.captain import Captain, config, document
from tests.conftest import connection
from tests.ship import InstantEngine, Ship, eventually

pytestmark = pytest.mark.slow

Start = Callable[..., Ship]


class GatedEngine(InstantEngine):
    """An engine whose work ends when the gate is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.running = self.peak = 0

    async def launch(self, key: str, work: Work) -> Ended:  # noqa: ARG002 - the contract
        self.running += 1
        self.peak = max(self.peak, self.running)
        try:
            self.launched.append(key)
            await self.gate.wait()
        finally:
            self.running -= 1
        return Ended(0)


class FaultyEngine(InstantEngine):
    """An engine with a fault of ours."""

    async def launch(self, key: str, work: Work) -> Ended:  # noqa: ARG002 - the contract
        raise ZeroDivisionError("planted")


@pytest.fixture
def begin(start: Start, captain: Captain) -> Start:
    """Starts services at the strict Keptn's sidecar."""
    captain.put(config("true"))
    return partial(start, **connection(captain.keptn, "sidecar"))


async def draining(ship: Ship) -> None:
    """Ask a service to end, and wait until it launches nothing more."""
    ship.service.stop()
    await eventually(lambda: ship.service._worker.runner.stopping)


def lines(captain: Captain, file: Path) -> None:
    """Let each job add its event's id to a file."""
    entry = {"name": "ID", "value": "$.id", "valueFrom": "event"}
    captain.put(config("sh", "-c", f"echo $ID >> {file}", env=[entry]))


async def test_no_more_runs_work_at_a_time_than_there_are_slots(
    begin: Start, captain: Captain
) -> None:
    engine = GatedEngine()
    ship = begin(engine=engine, max_running=3)
    ids = [await captain.trigger(ship.door) for _ in range(12)]
    for event_id in ids:
        await captain.wait(event_id, "started")
    await eventually(lambda: len(engine.launched) == 3)
    assert (await ship.figures())["firstmate_running"] == 3
    states = [ship.run(event_id).state for event_id in ids]
    assert (states.count("running"), states.count("planned")) == (3, 9)
    engine.gate.set()
    for event_id in ids:
        await captain.wait(event_id)
        assert captain.counts(event_id) == (1, 1)
    assert (engine.peak, len(engine.launched)) == (3, 12)


async def test_fifty_events_delivered_three_times_each_run_once(
    begin: Start, captain: Captain, tmp_path: Path
) -> None:
    lines(captain, tmp_path / "lines")
    ship = begin(max_running=4)
    ids = await asyncio.gather(*(captain.trigger(ship.door, deliver=3) for _ in range(50)))
    for event_id in ids:
        await captain.wait(event_id)
        assert captain.counts(event_id) == (1, 1)
    assert sorted((tmp_path / "lines").read_text().split()) == sorted(ids)


async def test_a_drain_answers_what_runs_and_launches_nothing_more(
    begin: Start, captain: Captain
) -> None:
    engine = GatedEngine()
    ship = begin(engine=engine, max_running=1, drain_seconds=200)
    ids = [await captain.trigger(ship.door) for _ in range(2)]
    for event_id in ids:
        await captain.wait(event_id, "started")
    await eventually(lambda: len(engine.launched) == 1)
    running, waiting = sorted(ids, key=lambda one: ship.run(one).state == "planned")
    await draining(ship)
    engine.gate.set()
    await ship.stop()
    assert captain.counts(running) == (1, 1)
    assert (captain.counts(waiting), len(engine.launched)) == ((1, 0), 1)
    later = InstantEngine()
    begin(engine=later)
    assert (await captain.wait(waiting))["finished"] == 1
    assert len(later.launched) == 1


async def test_a_drain_lets_a_run_stop_between_two_tasks_and_go_on_later(
    begin: Start, captain: Captain
) -> None:
    tasks = [{"name": name, "image": "alpine", "cmd": ["true"]} for name in ("One", "Two")]
    captain.put(document({"name": "Act", "events": [{"name": "test"}], "tasks": tasks}))
    engine = GatedEngine()
    ship = begin(engine=engine, drain_seconds=200)
    event_id = await captain.trigger(ship.door)
    await eventually(lambda: len(engine.launched) == 1)
    await draining(ship)
    engine.gate.set()
    await ship.stop()
    assert len(engine.launched) == 1
    later = InstantEngine()
    begin(engine=later)
    await captain.wait(event_id)
    assert captain.counts(event_id) == (1, 1)
    assert len({*engine.launched, *later.launched}) == 2
    assert "'One'" in captain.finished(event_id)["message"]


async def test_a_job_that_outlasts_the_drain_is_answered_by_the_next_service(
    begin: Start, captain: Captain, tmp_path: Path
) -> None:
    file, go = tmp_path / "lines", tmp_path / "go"
    script = f"echo x >> {file}; while [ ! -e {go} ]; do sleep 0.05; done; echo told"
    captain.put(config("sh", "-c", script))
    ship = begin(drain_seconds=0)
    event_id = await captain.trigger(ship.door)
    await eventually(file.exists)
    await ship.stop()
    begin()
    go.touch()
    await captain.wait(event_id)
    assert captain.counts(event_id) == (1, 1)
    assert file.read_text() == "x\n"
    assert "told" in captain.finished(event_id)["message"]


@pytest.mark.parametrize("aborted", [False, True])
async def test_a_restarted_service_asks_first_whether_keptn_still_waits(
    begin: Start, captain: Captain, aborted: bool
) -> None:
    captain.spoil("500")
    engine = InstantEngine()
    ship = begin(engine=engine)
    event_id = await captain.trigger(ship.door)
    await captain.wait(event_id, "delivered")
    await ship.stop()
    captain.mend()
    if aborted:
        captain.keptn.abort(event_id)
    ship = begin(engine=engine)
    await ship.until(event_id, "ignored" if aborted else "answered")
    assert len(engine.launched) == (0 if aborted else 1)


async def test_a_planned_run_that_keptn_closed_while_we_were_away_is_not_launched(
    begin: Start, captain: Captain
) -> None:
    engine = GatedEngine()
    ship = begin(engine=engine, max_running=1)
    ids = [await captain.trigger(ship.door) for _ in range(2)]
    for event_id in ids:
        await captain.wait(event_id, "started")
    await eventually(lambda: len(engine.launched) == 1)
    (waiting,) = [one for one in ids if ship.run(one).state == "planned"]
    await ship.stop()
    captain.keptn.abort(waiting)
    later = InstantEngine()
    ship = begin(engine=later)
    await ship.until(waiting, "answered", "refused")
    assert later.launched == []


async def test_a_fault_of_ours_is_answered_and_hangs_nothing(
    begin: Start, captain: Captain, caplog: pytest.LogCaptureFixture
) -> None:
    ship = begin(engine=FaultyEngine())
    event_id = await captain.trigger(ship.door)
    task = await captain.wait(event_id)
    assert (task["started"], task["finished"]) == (1, 1)
    assert captain.finished(event_id)["message"] == "internal error: ZeroDivisionError"
    assert "run failed" in caplog.text


async def test_the_order_of_delivery_does_not_matter(begin: Start, captain: Captain) -> None:
    ship = begin(engine=InstantEngine())
    captain.keptn.hold()
    ids = [await captain.trigger(ship.door, deliver=2) for _ in range(5)]
    await asyncio.to_thread(lambda: captain.keptn.release(backwards=True))
    for event_id in ids:
        await captain.wait(event_id)
        assert captain.counts(event_id) == (1, 1)
