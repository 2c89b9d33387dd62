"""What the plane forgets, and when."""

from collections.abc import Callable
from pathlib import Path

import pytest

from app.plane.retention import Retention
from app.plane.store import Store
from tests.plane.keptn import Client, VirtualClock

pytestmark = pytest.mark.slow

DAY = 86_400.0


def tidier(folder: Path, clock: VirtualClock, most: int) -> Callable[[], int]:
    """What forgets runs older than a day, or beyond so many events, beside the plane."""
    return Retention(Store(folder.parent / "data" / "plane.db"), clock, DAY, most).tidy


def tell_all(folder: Path) -> None:
    """As if the door had taken the ends of all sequences."""
    store = Store(folder.parent / "data" / "plane.db")
    store.query("UPDATE events SET phase = 'closed' WHERE phase = 'untold'")
    store.close()


async def ended_run(keptn: Client, service: str) -> str:
    context = await keptn.trigger("prod.delivery", service=service)
    await keptn.do("release")
    return context


async def test_an_ended_run_is_forgotten_after_its_time_and_an_open_one_never(
    keptn: Client, folder: Path, clock: VirtualClock
) -> None:
    old = await ended_run(keptn, "one")
    open_run = await keptn.trigger(service="two")
    tidy = tidier(folder, clock, 1_000)
    clock.pass_by(DAY / 2)
    young = await ended_run(keptn, "three")
    tell_all(folder)
    assert tidy() == 0
    clock.pass_by(DAY / 2 + 1)
    assert tidy() == 1
    assert await keptn.chain(old) == []
    assert len(await keptn.chain(open_run)) == 2
    assert len(await keptn.chain(young)) == 5
    clock.pass_by(100 * DAY)
    assert tidy() == 1
    assert await keptn.state(open_run) == "started"
    assert tidy() == 0


async def test_a_paused_and_a_waiting_run_are_open(
    keptn: Client, folder: Path, clock: VirtualClock
) -> None:
    contexts = [await keptn.trigger() for _ in range(2)]
    paused = await keptn.trigger(service="two")
    path = f"/api/controlPlane/v1/sequence/bookshop/{paused}/control"
    await keptn.http.post(path, json={"state": "pause"})
    clock.pass_by(100 * DAY)
    assert tidier(folder, clock, 0)() == 0
    states = [await keptn.state(context) for context in (*contexts, paused)]
    assert states == ["started", "waiting", "paused"]


async def test_beyond_the_number_of_events_the_oldest_run_goes(
    keptn: Client, folder: Path, clock: VirtualClock
) -> None:
    first, second = await ended_run(keptn, "one"), await ended_run(keptn, "two")
    assert tidier(folder, clock, 5)() == 0  # its end is still to be told to the door
    tell_all(folder)
    assert tidier(folder, clock, 5)() == 1
    assert await keptn.chain(first) == []
    assert len(await keptn.chain(second)) == 5


async def test_log_entries_and_silent_integrations_go_as_in_keptn(
    keptn: Client, folder: Path, clock: VirtualClock
) -> None:
    log, uniform = (f"/api/controlPlane/v1/{path}" for path in ("log", "uniform/registration"))
    where = {"hostname": "h", "kubernetesmetadata": {"namespace": "n"}}
    me = (await keptn.http.post(uniform, json={"name": "me", "metadata": where})).json()["id"]
    await keptn.http.post(log, json={"logs": [{"integrationid": me, "message": "m"}]})
    tidy = tidier(folder, clock, 1_000)
    clock.pass_by(2 * DAY - 1)
    tidy()
    assert (await keptn.http.put(f"{uniform}/{me}/ping")).status_code == 200
    clock.pass_by(2 * DAY + 1)
    tidy()
    assert (await keptn.http.put(f"{uniform}/{me}/ping")).status_code == 404
    assert len((await keptn.get(log))["logs"]) == 1
    clock.pass_by(DAY + 1)
    tidy()
    assert (await keptn.get(log))["logs"] == []
