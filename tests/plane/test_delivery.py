"""How events reach the door: at once, until taken, none held up by another."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.clock import Clock
from app.plane.house import Plane
from tests.plane.keptn import Client, client_of, eventually, running, settings

pytestmark = pytest.mark.slow


class Door:
    """Takes events on loopback; answers with the codes that a test lays out, else with 202."""

    def __init__(self) -> None:
        self.offered: list[str] = []
        self.taken: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.codes: list[int] = []
        self.slow: set[str] = set()

    async def accept(self, request: Request) -> Response:
        event = json.loads(await request.body())
        if event["type"].endswith(".triggered"):
            self.offered.append(event["id"])
        if event["shkeptncontext"] in self.slow:
            await asyncio.sleep(60)
        code = self.codes.pop(0) if self.codes else 202
        if code == 202:
            self.taken.append(event)
            self.headers.append(dict(request.headers))
        return Response(status_code=code)

    async def contexts(self) -> list[str]:
        """Of the tasks that were taken."""
        tasks = [event for event in self.taken if event["type"].endswith(".triggered")]
        return [event["shkeptncontext"] for event in tasks]

    async def ends(self) -> list[tuple[str, str]]:
        """(type, result) of the sequences whose end was taken."""
        ended = [event for event in self.taken if event["type"].endswith(".finished")]
        return [(event["type"], event["data"]["result"]) for event in ended]


class Hasty(Clock):
    """Real time, with short sleeps."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / 50)


@pytest.fixture
async def door() -> AsyncIterator[tuple[Door, str]]:
    door = Door()
    app = Starlette(routes=[Route("/", door.accept, methods=["POST"])])
    config = uvicorn.Config(app, port=0, log_level="error", lifespan="off", loop="none")
    server = uvicorn.Server(config)
    config.load()
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield door, f"http://127.0.0.1:{port}/"
    server.should_exit = server.force_exit = True
    await task


@pytest.fixture
async def plane(folder: Any, door: tuple[Door, str]) -> AsyncIterator[Plane]:
    plane = Plane(settings(folder, door_url=door[1], door_token="door"), Hasty())
    async with running(plane):
        yield plane
    plane.close()


async def test_an_open_event_is_pushed_at_once_as_a_structured_event(
    keptn: Client, door: tuple[Door, str]
) -> None:
    context = await keptn.trigger()
    await eventually(door[0].contexts, lambda found: found == [context])
    (event,), (headers,) = door[0].taken, door[0].headers
    assert headers["content-type"] == "application/cloudevents+json"
    assert headers["x-token"] == "door"
    assert event["datacontenttype"] == "application/json"
    (task,) = await keptn.open("deployment")
    assert {**task, "datacontenttype": "application/json"} == event


async def test_an_event_is_offered_again_until_it_was_taken_once(
    keptn: Client, door: tuple[Door, str]
) -> None:
    door[0].codes = [503, 500, 404, 400]
    context = await keptn.trigger()
    await eventually(door[0].contexts, lambda found: found == [context])
    await asyncio.sleep(0.1)
    assert await door[0].contexts() == [context]


async def test_a_slow_delivery_delays_no_other(keptn: Client, door: tuple[Door, str]) -> None:
    slow = "3a8a2c1e-7d14-4d5a-9f0b-5c1f1d1c2b3a"
    door[0].slow.add(slow)
    kind = "sh.keptn.event.dev.delivery.triggered"
    data = {"project": "bookshop", "stage": "dev", "service": "basket"}
    await keptn.post({"type": kind, "source": "me", "shkeptncontext": slow, "data": data})
    context = await keptn.trigger(service="cart")
    await eventually(door[0].contexts, lambda found: found == [context])


async def test_what_was_taken_is_not_offered_after_a_restart(
    plane: Plane, keptn: Client, door: tuple[Door, str], folder: Any
) -> None:
    first = await keptn.trigger()
    await eventually(door[0].contexts, lambda found: found == [first])
    door[0].codes = [503] * 1000
    second = await keptn.trigger(service="cart")
    await eventually(lambda: asyncio.sleep(0, 1000 - len(door[0].codes)))
    again = Plane(settings(folder, door_url=door[1]), Hasty())
    door[0].codes = []
    async with running(again), client_of(again):
        await eventually(door[0].contexts, lambda found: second in found)
    again.close()
    assert (await door[0].contexts()).count(first) == 1


async def test_a_closed_event_is_not_offered_any_more(
    keptn: Client, door: tuple[Door, str]
) -> None:
    door[0].codes = [503] * 1000
    await keptn.trigger()
    await keptn.do("deployment", result="fail")
    await keptn.do("rollback")
    offers = -1
    while offers != len(door[0].offered):  # what was on its way when it was closed has come
        offers = len(door[0].offered)
        await asyncio.sleep(0.3)
    door[0].codes = []
    await asyncio.sleep(0.3)
    assert await door[0].contexts() == []


async def test_the_end_of_a_sequence_is_pushed_until_taken_once(
    keptn: Client, door: tuple[Door, str]
) -> None:
    await keptn.trigger()
    await eventually(door[0].contexts, lambda found: len(found) == 1)
    door[0].codes = [503, 500]
    await keptn.do("deployment", result="fail")
    failed = ("sh.keptn.event.dev.delivery.finished", "fail")
    await eventually(door[0].ends, lambda found: found == [failed])
    await keptn.do("rollback")
    undone = ("sh.keptn.event.dev.rollback.finished", "pass")
    await eventually(door[0].ends, lambda found: found == [failed, undone])
    await asyncio.sleep(0.1)
    assert await door[0].ends() == [failed, undone]
    assert await keptn.open("rollback") == []


async def test_an_end_that_was_not_taken_is_pushed_after_a_restart(
    plane: Plane, keptn: Client, door: tuple[Door, str], folder: Any
) -> None:
    context = await keptn.trigger()
    await eventually(door[0].contexts, lambda found: found == [context])
    door[0].codes = [503] * 1000
    await keptn.do("deployment", result="fail")
    await eventually(lambda: asyncio.sleep(0, 1000 - len(door[0].codes)))
    again = Plane(settings(folder, door_url=door[1]), Hasty())
    door[0].codes = []
    async with running(again), client_of(again):
        failed = ("sh.keptn.event.dev.delivery.finished", "fail")
        await eventually(door[0].ends, lambda found: failed in found)
    again.close()


async def test_a_sequence_that_cannot_start_ends_at_the_door_too(
    keptn: Client, door: tuple[Door, str]
) -> None:
    await keptn.trigger("dev.unknown")
    ended = ("sh.keptn.event.dev.unknown.finished", "fail")
    await eventually(door[0].ends, lambda found: found == [ended])
