"""Whatever goes wrong between us and Keptn, it counts one started and one finished of ours."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from app.keptn.channel import ASK_AFTER
from tests.captain import Captain, config
from tests.clocks import FastClock
from tests.conftest import connection
from tests.ship import InstantEngine, Ship, eventually

pytestmark = pytest.mark.slow
MODES = ["accept_drop_reply", "500_after_accept", "500_before_accept", "503", "drop_request"]
MODES += ["refuse", "401", "403", "404", "429", "slow", "garbage"]


async def settled(ship: Ship, event_id: str) -> None:
    """Wait until nothing of a run is on its way any more, and nothing needs confirmation."""
    over = {"done", "refused", "dropped"}
    await ship.until(event_id, "answered", "refused")
    await eventually(lambda: {one.state for one in ship.letters(event_id)} <= over)


@pytest.mark.parametrize("mode", MODES)
async def test_each_answer_is_counted_once(
    connected: Callable[..., Ship], captain: Captain, mode: str
) -> None:
    captain.put(config("true"))
    for kind in ("started", "finished"):
        captain.fault(mode, kind_of_event=kind, seconds=0.1)
    ship = connected(engine=InstantEngine())
    event_id = await captain.trigger(ship.door)
    assert (await captain.wait(event_id))["closed_by"] == "completed"
    await settled(ship, event_id)
    assert captain.counts(event_id) == (1, 1)
    assert captain.violations(event_id) == []


@pytest.mark.parametrize("lost", [["started"], ["finished"], ["started", "finished"]])
async def test_what_a_sidecar_lost_after_its_200_is_sent_again(
    start: Callable[..., Ship], captain: Captain, lost: list[str]
) -> None:
    captain.put(config("true"))
    for kind in lost:
        captain.fault("lose_200", kind_of_event=kind)
    ship = start(engine=InstantEngine(), **connection(captain.keptn, "sidecar"))
    event_id = await captain.trigger(ship.door)
    assert (await captain.wait(event_id))["closed_by"] == "completed"
    await settled(ship, event_id)
    assert captain.counts(event_id) == (1, 1)


@pytest.mark.parametrize("kind", ["started", "finished"])
async def test_what_was_lost_is_sent_again_once_however_slow_keptn_is(
    start: Callable[..., Ship], captain: Captain, kind: str
) -> None:
    captain.put(config("true"))
    captain.fault("lose_200", kind_of_event=kind)
    captain.fault("slow", kind_of_event=kind, seconds=1)
    ship = start(engine=InstantEngine(), **connection(captain.keptn, "sidecar"))
    event_id = await captain.trigger(ship.door)
    await captain.wait(event_id)
    await settled(ship, event_id)
    assert captain.counts(event_id) == (1, 1)


async def test_finished_waits_until_started_is_accepted(
    connected: Callable[..., Ship], captain: Captain
) -> None:
    captain.put(config("true"))
    captain.fault("503", kind_of_event="started", times=3)
    ship = connected(engine=InstantEngine())
    event_id = await captain.trigger(ship.door)
    heard = (await captain.wait(event_id))["events"]
    assert [one["kind"] for one in heard] == ["started", "finished"]
    assert captain.violations(event_id) == []


async def test_a_failing_lookup_is_repeated_before_anything_is_sent_again(
    connected: Callable[..., Ship], captain: Captain
) -> None:
    captain.put(config("true"))
    for kind in ("started", "finished"):
        captain.fault("accept_drop_reply", kind_of_event=kind)
    for mode in ("500", "garbage", "drop_request", "429", "500"):
        captain.fault(mode, where="lookup", seconds=1)
    ship = connected(engine=InstantEngine())
    event_id = await captain.trigger(ship.door)
    await captain.wait(event_id)
    await settled(ship, event_id)
    assert captain.counts(event_id) == (1, 1)
    assert not any("doubtful_total" in name for name in await ship.figures())


@pytest.mark.parametrize(
    ("mode", "counted"), [("accept_drop_reply", (2, 2)), ("drop_request", (1, 2))]
)
async def test_where_nothing_can_be_asked_as_many_finished_as_started_may_have_arrived(
    connected: Callable[..., Ship], captain: Captain, mode: str, counted: tuple[int, int]
) -> None:
    captain.put(config("true"))
    captain.fault("404", where="lookup", times=None)
    captain.fault(mode, kind_of_event="started")
    ship = connected(engine=InstantEngine())
    event_id = await captain.trigger(ship.door)
    assert (await captain.wait(event_id))["closed_by"] == "completed"
    await settled(ship, event_id)
    assert captain.counts(event_id) == counted
    figures = await ship.figures()
    assert figures['firstmate_doubtful_total{kind="started"}'] == 1


async def test_a_started_that_is_refused_for_good_cancels_what_runs(
    connected: Callable[..., Ship], captain: Captain, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    captain.put(config("sh", "-c", f"echo $$$$ > {pid}.part; mv {pid}.part {pid}; sleep 60"))
    captain.fault("503", kind_of_event="started", times=None)
    ship = connected()
    event_id = await captain.trigger(ship.door)
    await eventually(pid.exists)
    captain.mend()
    captain.fault("400", kind_of_event="started")
    run = await ship.until(event_id, "refused")
    assert "status 400 (told to answer 400)" in run.reason
    await eventually(lambda: not Path(f"/proc/{pid.read_text().strip()}").exists())
    await settled(ship, event_id)
    assert captain.counts(event_id) == (0, 0)


async def test_a_started_that_is_refused_after_the_work_drops_the_finished(
    connected: Callable[..., Ship], captain: Captain
) -> None:
    captain.put(config("true"))
    captain.fault("503", kind_of_event="started", times=None)
    ship = connected(engine=InstantEngine())
    event_id = await captain.trigger(ship.door)
    await ship.until(event_id, "answered")
    captain.mend()
    captain.fault("400", kind_of_event="started")
    await ship.until(event_id, "refused")
    states = {one.kind: one.state for one in ship.letters(event_id)}
    assert states == {"started": "refused", "finished": "dropped"}
    assert captain.counts(event_id) == (0, 0)


async def test_for_a_finished_that_keptn_refuses_goes_a_plain_one(
    connected: Callable[..., Ship], captain: Captain
) -> None:
    captain.put(config("true"))
    captain.fault("400", kind_of_event="finished")
    ship = connected(engine=InstantEngine())
    event_id = await captain.trigger(ship.door)
    await captain.wait(event_id)
    assert captain.counts(event_id) == (1, 1)
    assert captain.finished(event_id)["status"] == "errored"
    assert "Keptn refused the answer: " in captain.finished(event_id)["message"]
    await settled(ship, event_id)
    first, second = [one for one in ship.letters(event_id) if one.kind == "finished"]
    assert (first.state, second.state) == ("refused", "done")
    assert "told to answer 400" in first.note


async def test_a_finished_that_is_refused_again_and_again_is_given_up(
    connected: Callable[..., Ship], captain: Captain
) -> None:
    captain.put(config("true"))
    captain.fault("400", kind_of_event="finished", times=None)
    ship = connected(engine=InstantEngine())
    event_id = await captain.trigger(ship.door)
    await settled(ship, event_id)
    await eventually(lambda: len(ship.letters(event_id)) == 3)
    await settled(ship, event_id)
    assert captain.counts(event_id) == (1, 0)


@pytest.mark.parametrize("kind", ["started", "finished"])
async def test_what_only_a_proxy_refuses_goes_again(
    connected: Callable[..., Ship], captain: Captain, kind: str
) -> None:
    captain.put(config("true"))
    captain.fault("413_of_a_proxy", kind_of_event=kind, times=3)
    ship = connected(engine=InstantEngine())
    event_id = await captain.trigger(ship.door)
    await captain.wait(event_id)
    assert captain.counts(event_id) == (1, 1)
    assert captain.finished(event_id)["result"] == "pass"


async def test_a_very_late_started_is_sent_only_if_keptn_still_waits(
    start: Callable[..., Ship], captain: Captain, clock: FastClock
) -> None:
    captain.put(config("true"))
    captain.fault("429", kind_of_event="started", times=None, seconds=20)
    ship = start(engine=InstantEngine(), **connection(captain.keptn, "api"))
    waiting = await captain.trigger(ship.door)
    await eventually(lambda: any("429" in one.note for one in ship.letters(waiting)))
    closed = await captain.trigger(ship.door)
    for event_id in (waiting, closed):
        await ship.until(event_id, "answered")
    captain.keptn.abort(closed)
    clock.skip(ASK_AFTER)
    captain.mend()
    await captain.wait(waiting)
    run = await ship.until(closed, "refused")
    assert run.reason == "Keptn no longer waits for an answer"
    assert (captain.counts(waiting), captain.counts(closed)) == ((1, 1), (0, 0))


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_storm_of_faults_leaves_every_task_counted_once_but_for_doubtful_ones(
    connected: Callable[..., Ship], captain: Captain, seed: int, tmp_path: Path
) -> None:
    lines, chance = tmp_path / "lines", random.Random(seed)
    captain.put(config("sh", "-c", f"echo $ID >> {lines}", env=[env("ID", "id")]))
    for _ in range(30):
        where = chance.choice(["event", "event", "lookup", "resource"])
        modes = MODES[:-3] if where == "event" else ["500", "429", "drop_request", "garbage"]
        captain.fault(chance.choice(modes), where=where, seconds=chance.random() / 10)
    ship = connected()
    ids = await asyncio.gather(*(captain.trigger(ship.door, deliver=2) for _ in range(25)))
    for event_id in ids:
        assert (await captain.wait(event_id, seconds=60))["closed_by"] == "completed"
        await settled(ship, event_id)
    figures = await ship.figures()
    doubtful = sum(figures[name] for name in figures if name.startswith("firstmate_doubtful_total"))
    assert sum(captain.counts(event_id) != (1, 1) for event_id in ids) <= doubtful
    assert sorted(lines.read_text().split()) == sorted(ids)


def env(name: str, path: str) -> dict[str, str]:
    """An entry of a task's `env` that is taken from the event."""
    return {"name": name, "value": f"$.{path}", "valueFrom": "event"}
