"""A whole service at a real nats-server: what it takes from there and what it leaves there."""

import asyncio
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client

from app.errors import Permanent
from tests.captain import Captain, config
from tests.conftest import connection, document
from tests.nats.server import NatsServer
from tests.notices.receiver import receiving
from tests.notices.test_service import routed
from tests.ship import Ship, eventually
from tests.strict.client import StrictKeptn

pytestmark = pytest.mark.slow


async def subscribed(ship: Ship) -> Ship:
    """The service, once events reach it."""

    async def is_connected() -> bool:
        return (await ship.figures())["firstmate_nats_connected"] == 1

    await eventually(is_connected)
    return ship


async def say(server: NatsServer, *events: dict[str, Any]) -> None:
    """Publish as some other service would; this client's first ping overtakes what it says."""
    other = Client()
    await other.connect(server.url, allow_reconnect=False)
    for event in events:
        await other.publish(event["type"], json.dumps(event).encode())
    for _ in range(2):
        await other.flush()
    await other.close()


def posted(captain: Captain) -> int:
    """How many events Keptn's API was sent."""
    return int(captain.keptn.state()["requests"].get("event", 0))


async def test_a_task_that_came_over_nats_is_answered_into_the_stream(
    joined: Captain, server: NatsServer, connected: Callable[..., Ship]
) -> None:
    joined.put(config("true"))
    ship = await subscribed(connected(eventbroker=server.url))
    before = posted(joined)
    triggered = await joined.trigger("nats")
    assert (await joined.wait(triggered))["closed_by"] == "completed"
    assert joined.counts(triggered) == (1, 1)
    assert not joined.violations(triggered)
    assert posted(joined) == before
    await eventually(lambda: all(one.state == "done" for one in ship.letters(triggered)))


async def test_where_there_is_no_stream_the_answer_goes_through_the_api(
    captain: Captain, plain: NatsServer, connected: Callable[..., Ship]
) -> None:
    captain.keptn.join(captain.project, plain.url)
    captain.put(config("true"))
    await subscribed(connected(eventbroker=plain.url))
    before = posted(captain)
    triggered = await captain.trigger("nats")
    assert (await captain.wait(triggered))["closed_by"] == "completed"
    assert captain.counts(triggered) == (1, 1)
    assert posted(captain) == before + 2
    captain.keptn.leave(captain.project)


async def test_an_event_that_comes_over_nats_and_by_a_distributor_is_run_once(
    joined: Captain, server: NatsServer, connected: Callable[..., Ship]
) -> None:
    joined.put(config("true"))
    ship = await subscribed(connected(eventbroker=server.url))
    triggered = await joined.trigger("nats", deliver=3)
    await joined.wait(triggered)
    trigger = joined.keptn.task(triggered)["events"][0]["event"]
    await ship.post(document(id=triggered, data=trigger["data"]))
    await eventually(lambda: all(one.state == "done" for one in ship.letters(triggered)))

    async def has_seen_all() -> bool:
        return (await ship.figures())['firstmate_accepted_total{verdict="duplicate"}'] >= 3

    await eventually(has_seen_all)
    assert joined.counts(triggered) == (1, 1)


async def test_what_others_say_is_told_and_our_own_echoes_are_not(
    plain: NatsServer, connected: Callable[..., Ship], tmp_path: Path
) -> None:
    with receiving() as receiver:
        file = routed(tmp_path, receiver, "routes: [{channels: [chat]}]")
        ship = await subscribed(connected(eventbroker=plain.url, routes_file=file))
        kind = "sh.keptn.event.test.finished"
        other = document(id="other", type=kind, source="somebody")
        ended = document(id="ended", type="sh.keptn.event.s.delivery.finished")
        echo = document(id="echo", type=kind, source="firstmate")
        broken = {"type": "sh.keptn.event.test.finished"}
        await say(plain, echo, other, other, broken, ended)
        await eventually(lambda: len(receiver.taken) == 2)
        await asyncio.sleep(0.1)
        assert sorted(one["id"] for one in receiver.bodies) == ["ended", "other"]
        assert {run.event_id for run in ship.runs()} == {"ended", "other"}
        assert (await ship.figures())['firstmate_rejected_total{status="400"}'] == 1


async def test_what_is_larger_than_the_door_would_take_is_not_taken(
    plain: NatsServer, connected: Callable[..., Ship]
) -> None:
    ship = await subscribed(connected(eventbroker=plain.url, max_event_bytes=2048))
    large, small = (
        document(id=name, type="sh.keptn.event.s.delivery.finished", source=source)
        for name, source in (("large", "x" * 2048), ("small", "x"))
    )
    await say(plain, large, small)
    await eventually(lambda: bool(ship.runs()))
    assert [run.event_id for run in ship.runs()] == ["small"]
    assert (await ship.figures())['firstmate_rejected_total{status="413"}'] == 1


async def test_an_abort_ends_a_job_at_once(
    joined: Captain, server: NatsServer, connected: Callable[..., Ship], tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    script = f"trap 'touch {gone}; exit 1' TERM; touch {tmp_path}/on; sleep 600 & wait"
    joined.put(config("sh", "-c", script))
    ship = await subscribed(connected(eventbroker=server.url))
    triggered = await joined.trigger("nats")
    await eventually((tmp_path / "on").exists)
    await asyncio.to_thread(joined.keptn.abort, triggered)
    await eventually(gone.exists)
    run = await ship.until(triggered, "refused")
    assert run.reason == "Keptn no longer waits for an answer to this event"
    assert joined.counts(triggered) == (1, 0)


async def test_a_server_that_is_away_is_waited_for(
    joined: Captain, server: NatsServer, connected: Callable[..., Ship]
) -> None:
    joined.put(config("true"))
    await asyncio.to_thread(server.kill)
    ship = connected(eventbroker=server.url)
    assert (await ship.figures())["firstmate_nats_connected"] == 0
    await asyncio.to_thread(server.start)
    await subscribed(ship)
    joined.keptn.leave(joined.project)
    joined.keptn.join(joined.project, server.url)
    triggered = await joined.trigger("nats")
    assert (await joined.wait(triggered))["closed_by"] == "completed"


async def test_what_nobody_heard_is_found_when_the_connection_is_back(
    joined: Captain, server: NatsServer, start: Callable[..., Ship], strict: StrictKeptn
) -> None:
    joined.put(config("true"))
    ship = await subscribed(start(eventbroker=server.url, **connection(strict, "api")))
    await joined.wait(await joined.trigger("nats"))
    ship.service._poll._whole_at = math.inf  # so that only the connection can be the cause
    triggered = await joined.trigger("", deliver=0)
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start)
    assert (await joined.wait(triggered))["closed_by"] == "completed"
    assert joined.counts(triggered) == (1, 1)


async def test_answers_wait_for_a_server_that_was_killed_and_are_given_once(
    joined: Captain, server: NatsServer, connected: Callable[..., Ship], tmp_path: Path
) -> None:
    go = tmp_path / "go"
    joined.put(config("sh", "-c", f"while [ ! -e {go} ]; do sleep 0.05; done"))
    await subscribed(connected(eventbroker=server.url))
    tasks = [await joined.trigger("nats") for _ in range(5)]
    for one in tasks:
        await joined.wait(one, "started")
    await asyncio.to_thread(server.kill)
    go.touch()
    await asyncio.sleep(0.5)
    await asyncio.to_thread(server.start)
    for one in tasks:
        assert (await joined.wait(one, seconds=30))["closed_by"] == "completed"
        assert joined.counts(one) == (1, 1)


async def test_without_the_extra_it_does_not_start(
    start: Callable[..., Ship], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "app.keptn.nats", None)
    with pytest.raises(
        Permanent, match=r"^EVENTBROKER needs the extra `nats`: pip install '.\[nats\]'$"
    ):
        start(eventbroker="nats://nowhere", keptn_distributor_url="http://127.0.0.1:9")
