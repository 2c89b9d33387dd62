"""The event door over real HTTP: each status, and 202 only for what is on disk."""

import asyncio
import json
import resource
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from app.ledger.guard import RESERVE_BYTES
from tests.conftest import TRIGGERED, document
from tests.doors.conftest import LARGEST, NO_KEPTN
from tests.ship import CLOUDEVENT, Ship

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


def new(**more: Any) -> dict[str, Any]:
    """An event that was never seen before."""
    return document(id=str(uuid.uuid4()), **more)


async def test_an_accepted_event_is_on_disk(ship: Ship) -> None:
    event = new()
    reply = await ship.post(event)
    assert (reply.status_code, reply.content) == (202, b"")
    run = ship.run(event["id"])
    assert (run.state, json.loads(run.event)["data"]) == ("received", TRIGGERED["data"])


async def test_the_binary_mode_is_taken_too(ship: Ship) -> None:
    event = new()
    data = event.pop("data")
    headers = {f"ce-{name}": value for name, value in event.items()}
    assert (await ship.http.post(ship.door, json=data, headers=headers)).status_code == 202
    assert ship.run(event["id"]).project == "p"


async def test_every_delivery_of_an_event_is_accepted_and_one_is_kept(ship: Ship) -> None:
    event = new()
    replies = await asyncio.gather(*(ship.post(event) for _ in range(20)))
    replies.append(await ship.post({**event, "data": {**event["data"], "project": "other"}}))
    assert {reply.status_code for reply in replies} == {202}
    assert ship.run(event["id"]).project == "p"


@pytest.mark.parametrize(
    "event_type",
    ["com.example.thing", "sh.keptn.event.dev.delivery.triggered", "sh.keptn.event.test.finished"],
)
async def test_any_other_cloudevent_is_recorded_as_ignored(ship: Ship, event_type: str) -> None:
    event = new(type=event_type, data=["anything"])
    assert (await ship.post(event)).status_code == 202
    run = ship.run(event["id"])
    assert (run.state, run.reason) == ("ignored", "not a task's triggered event")


async def test_an_event_that_leaves_no_room_for_an_answer_is_recorded_as_ignored(
    ship: Ship,
) -> None:
    event = new(data={**TRIGGERED["data"], "labels": {"huge": "x" * 50_000}})
    assert (await ship.post(event)).status_code == 202
    assert "no room for an answer" in ship.run(event["id"]).reason


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (b"{", "not JSON: "),
        (b"[]", "not a CloudEvent: expected one JSON object, got a list"),
        (json.dumps(document(id=None)).encode(), "not a CloudEvent: id: "),
        (
            json.dumps(document(data={"project": "p", "stage": "s"})).encode(),
            "sh.keptn.event.test.triggered: data.service must be a non-empty text",
        ),
    ],
)
async def test_400_says_in_one_line_what_is_wrong(ship: Ship, body: bytes, line: str) -> None:
    reply = await ship.http.post(ship.door, content=body, headers=CLOUDEVENT)
    assert (reply.status_code, reply.json()["code"]) == (400, 400)
    assert reply.json()["message"].startswith(line)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8080", "", "localhosts"])
async def test_403_for_a_host_that_is_not_this_machine(ship: Ship, host: str) -> None:
    reply = await ship.http.post(ship.door, json=new(), headers={**CLOUDEVENT, "host": host})
    assert reply.status_code == 403


@pytest.mark.parametrize("host", ["localhost", "localhost:1234", "127.0.0.1", "[::1]:8080"])
async def test_every_name_of_this_machine_is_right(ship: Ship, host: str) -> None:
    reply = await ship.http.post(ship.door, json=new(), headers={**CLOUDEVENT, "host": host})
    assert reply.status_code == 202


@pytest.mark.parametrize("media_type", ["text/plain", "", "application/xml", "application/jsonx"])
async def test_415_for_what_is_no_json_by_its_type(ship: Ship, media_type: str) -> None:
    headers = {"content-type": media_type}
    reply = await ship.http.post(ship.door, content=json.dumps(new()), headers=headers)
    assert reply.status_code == 415


@pytest.mark.parametrize(
    "media_type",
    ["application/json", "Application/JSON; charset=utf-8", "application/vnd.example+json"],
)
async def test_every_json_type_may_carry_an_event(ship: Ship, media_type: str) -> None:
    headers = {"content-type": media_type}
    reply = await ship.http.post(ship.door, content=json.dumps(new()), headers=headers)
    assert reply.status_code == 202


async def test_413_above_the_limit_however_the_length_is_told(ship: Ship) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(LARGEST // 4096 + 1):
            yield b" " * 4096

    told = await ship.http.post(ship.door, content=b" " * (LARGEST + 1), headers=CLOUDEVENT)
    chunked = await ship.http.post(ship.door, content=chunks(), headers=CLOUDEVENT)
    assert (told.status_code, chunked.status_code) == (413, 413)


async def test_an_event_of_exactly_the_limit_is_taken(ship: Ship) -> None:
    body = json.dumps(new()).encode().ljust(LARGEST)
    reply = await ship.http.post(ship.door, content=body, headers=CLOUDEVENT)
    assert reply.status_code == 202


async def test_refusals_are_counted(ship: Ship) -> None:
    await ship.http.post(ship.door, content=b"{", headers=CLOUDEVENT)
    assert (await ship.figures())['firstmate_rejected_total{status="400"}'] >= 1


async def test_the_door_says_that_it_is_healthy(ship: Ship) -> None:
    assert (await ship.http.get(f"{ship.door}/health")).json() == {"status": "OK"}
    assert (await ship.http.get(ship.door)).status_code == 405


@pytest.mark.asyncio(loop_scope="function")
async def test_401_without_the_right_token_and_nothing_is_kept(start: Callable[..., Ship]) -> None:
    ship = start(door_token="planted", **NO_KEPTN)
    wrong: list[dict[str, str]] = [
        {},
        {"x-token": "wrong"},
        {"x-token": "plante"},
        {"authorization": "Bearer wrong"},
        {"authorization": "Basic planted"},
    ]
    for shown in wrong:
        reply = await ship.http.post(ship.door, json=new(), headers={**CLOUDEVENT, **shown})
        assert reply.status_code == 401
        assert "planted" not in reply.text
    for shown in ({"x-token": "planted"}, {"authorization": "Bearer planted"}):
        reply = await ship.http.post(ship.door, json=new(), headers={**CLOUDEVENT, **shown})
        assert reply.status_code == 202


@pytest.mark.asyncio(loop_scope="function")
async def test_it_is_not_ready_while_the_disk_has_no_room_for_new_events(
    start: Callable[..., Ship], tmp_path: Path
) -> None:
    ship = start(**NO_KEPTN)
    ready = f"{ship.ops}/ready"
    assert (await ship.http.get(ready)).status_code == 200
    (tmp_path / "data" / "reserve").unlink()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (RESERVE_BYTES // 2, hard))
    try:
        full = await ship.http.get(ready)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (full.status_code, full.json()["status"]) == (503, "the ledger's disk is full")
    assert (await ship.http.get(ready)).json()["status"] == "OK"


@pytest.mark.asyncio(loop_scope="function")
async def test_503_while_the_ledger_is_full_and_202_when_there_is_room_again(
    start: Callable[..., Ship],
) -> None:
    ship = start(**NO_KEPTN)
    ledger = ship.service._river.ledger
    pages = await ledger.write(lambda db: db.execute("PRAGMA page_count").fetchone()[0])
    await ledger.write(lambda db: db.execute(f"PRAGMA max_page_count = {pages}").fetchone())
    event = new(data={**TRIGGERED["data"], "much": "x" * 50_000})
    refused = await ship.post(event)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert refused.json()["message"] == "the ledger's disk is full"
    await ledger.write(lambda db: db.execute("PRAGMA max_page_count = 100000").fetchone())
    assert (await ship.post(event)).status_code == 202
    assert ship.run(event["id"]).state == "received"
