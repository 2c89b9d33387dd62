"""What others did, read from the datastore: told once, run if a job asks for it, never answered."""

import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from app.events.build import timestamp
from tests.captain import Captain, config
from tests.clocks import FastClock
from tests.conftest import connection
from tests.notices.receiver import Receiver, receiving
from tests.ship import InstantEngine, Ship, eventually

pytestmark = pytest.mark.slow

Start = Callable[..., Ship]
ROUTES = """
apiVersion: firstmate/v1
channels: [{name: chat, kind: cloudevent, urlFrom: {env: CHAT}}]
routes: [{events: [sh.keptn.event.*.finished], channels: [chat]}]
"""


@pytest.fixture
def clock() -> FastClock:
    return FastClock(speed=60)


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiving() as receiver:
        monkeypatch.setenv("CHAT", receiver.url)
        yield receiver


@pytest.fixture
def begin(start: Start, captain: Captain, chat: Receiver, tmp_path: Path) -> Start:
    """Starts services that poll, and tell a chat of everything that is finished."""
    captain.put(config("true"))
    (tmp_path / "routes.yaml").write_text(ROUTES)
    routes = {"routes_file": tmp_path / "routes.yaml", "engine": InstantEngine()}
    return partial(start, **routes, **connection(captain.keptn, "poll"))


def happened(captain: Captain, clock: FastClock, ago: float = 0, **more: Any) -> str:
    """An event of another service gets into the datastore; its id."""
    event_id = str(uuid.uuid4())
    event = {
        "specversion": "1.0",
        "id": event_id,
        "source": "another",
        "type": "sh.keptn.event.build.finished",
        "time": timestamp(clock.now() - ago),
        "shkeptncontext": str(uuid.uuid4()),
        "triggeredid": "unknown",
        "data": {"project": captain.project, "stage": "s", "service": "svc"},
    }
    captain.keptn.http.post("/event", json={**event, **more}).raise_for_status()
    return event_id


def told(captain: Captain, chat: Receiver) -> list[str]:
    """The events of this test's project of which the chat heard, in order."""
    ours = [one for one in chat.bodies if one["data"]["project"] == captain.project]
    return [one["id"] for one in ours if one["source"] == "another"]


async def test_what_others_finished_is_told_once_and_in_order(
    begin: Start, captain: Captain, chat: Receiver, clock: FastClock
) -> None:
    begin()
    ids = [happened(captain, clock) for _ in range(5)]
    await eventually(lambda: len(told(captain, chat)) == 5)
    last = happened(captain, clock)
    await eventually(lambda: last in told(captain, chat))
    assert sorted(told(captain, chat)) == sorted([*ids, last])


async def test_times_are_compared_as_text_and_still_nothing_is_missed(
    begin: Start, captain: Captain, chat: Receiver, clock: FastClock
) -> None:
    begin()
    whole = timestamp(clock.now())[:19]
    spelled = ["Z", ".3Z", ".000Z", ".0004Z", ".999999999Z", "+00:00"]
    ids = []
    for ending in spelled:
        ids.append(happened(captain, clock, time=whole + ending))
        await eventually(lambda: ids[-1] in told(captain, chat))
    assert sorted(told(captain, chat)) == sorted(ids)


async def test_what_is_stored_late_is_told_and_a_clock_that_is_ahead_hides_nothing(
    begin: Start, captain: Captain, chat: Receiver, clock: FastClock
) -> None:
    begin()
    ids = [happened(captain, clock, ago=ago) for ago in (-3600, 0, 90)]
    await eventually(lambda: sorted(told(captain, chat)) == sorted(ids))
    ids += [happened(captain, clock, ago=ago) for ago in (0, 60)]
    await eventually(lambda: sorted(told(captain, chat)) == sorted(ids))


async def test_a_restart_reads_on_where_the_last_service_stopped(
    begin: Start, captain: Captain, chat: Receiver, clock: FastClock
) -> None:
    ship = begin()
    ids = [happened(captain, clock)]
    await eventually(lambda: told(captain, chat) == ids)
    await ship.stop()
    ids += [happened(captain, clock, ago=ago) for ago in (20, 10, 0)]
    clock.skip(7200)
    begin()
    await eventually(lambda: len(told(captain, chat)) >= 4)
    ids.append(happened(captain, clock))
    await eventually(lambda: ids[-1] in told(captain, chat))
    assert sorted(told(captain, chat)) == sorted(ids)


async def test_a_job_on_a_finished_event_runs_and_nobody_is_answered(
    begin: Start, captain: Captain, clock: FastClock
) -> None:
    captain.put(config("true").replace("test.triggered", "build.finished"))
    ship = begin()
    event_id = happened(captain, clock)
    run = await ship.until(event_id, "answered")
    assert (run.type, ship.letters(event_id)) == ("sh.keptn.event.build.finished", [])
    assert len(ship.service._river.engine.launched) == 1  # type: ignore[attr-defined]


async def test_a_loose_pattern_is_for_triggered_events_only(
    begin: Start, captain: Captain, clock: FastClock
) -> None:
    captain.put(config("true").replace("sh.keptn.event.test.triggered", "build"))
    ship = begin()
    run = await ship.until(happened(captain, clock), "ignored", "answered")
    assert run.state == "ignored"


async def test_an_echo_of_ours_is_nothing_new(
    begin: Start, captain: Captain, clock: FastClock, chat: Receiver
) -> None:
    captain.put(config("true").replace("test.triggered", "build.finished"))
    ship = begin()
    echo = happened(captain, clock, source="firstmate")
    other = happened(captain, clock)
    await ship.until(other, "answered")
    assert echo not in [run.event_id for run in ship.runs()]
