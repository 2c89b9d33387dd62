"""What the plane does by itself when time passes, and what it remembers when it starts again."""

import asyncio
from pathlib import Path

import pytest

from app.plane.house import Plane
from tests.plane.keptn import Client, VirtualClock, client_of, eventually, running, settings

pytestmark = pytest.mark.slow


async def test_a_task_named_like_a_common_field_hangs_nothing_else(
    plane: Plane, keptn: Client, folder: Path, clock: VirtualClock
) -> None:
    shipyard = folder / "shipyard.yaml"
    text = shipyard.read_text().replace("name: deployment,", "name: labels,")
    shipyard.write_text(text)
    context = await keptn.trigger()
    async with running(plane):
        await eventually(lambda: later(keptn, clock, context), lambda state: state == "timedOut")


async def test_silence_ends_the_sequence_after_the_start_timeout(
    plane: Plane, keptn: Client, clock: VirtualClock
) -> None:
    context = await keptn.trigger(labels={"team": "a"})
    answered = await keptn.trigger(service="cart")
    (task, _) = await keptn.open("deployment")
    await keptn.answer(task, "started")
    async with running(plane):
        clock.pass_by(599)
        await asyncio.sleep(0.05)
        assert await keptn.state(context) == "started"
        clock.pass_by(2)
        await eventually(lambda: later(keptn, clock, context), lambda state: state == "timedOut")
    ended = await keptn.ended(context)
    assert (ended["status"], ended["result"]) == ("errored", "fail")
    assert ended["labels"] == {"team": "a"}
    assert "sh.keptn.event.deployment.triggered" in ended["message"]
    assert await keptn.state(answered) == "started"
    assert [open_task["id"] for open_task in await keptn.open("deployment")] == [task["id"]]
    assert await keptn.open("release") == []


async def test_a_delayed_task_appears_when_it_is_due(
    plane: Plane, keptn: Client, clock: VirtualClock
) -> None:
    context = await keptn.trigger("dev.later")
    assert await keptn.open("test") == []
    assert await keptn.chain(context) == ["dev.later.triggered"]
    async with running(plane):
        clock.pass_by(90 * 60 + 1)
        (task,) = await eventually(lambda: keptn.open("test"))
        assert task["time"] == "2023-11-14T23:43:21.000Z"
        await eventually(lambda: later(keptn, clock, context), lambda state: state == "timedOut")
        assert clock.now() - 1_700_000_000 > 90 * 60 + 600
    assert await keptn.chain(context) == [
        "dev.later.triggered",
        "test.triggered",
        "dev.later.finished",
    ]


async def later(keptn: Client, clock: VirtualClock, context: str) -> str:
    """The run's state, a minute later."""
    clock.pass_by(60)
    return await keptn.state(context)


async def test_a_new_plane_over_the_same_data_goes_on(
    plane: Plane, keptn: Client, folder: Path
) -> None:
    context = await keptn.trigger()
    (task,) = await keptn.open("deployment")
    await keptn.answer(task, "started")
    plane.close()
    again = Plane(settings(folder), VirtualClock())
    async with client_of(again) as http:
        keptn = Client(http)
        await keptn.answer(task, "finished", result="pass", status="succeeded")
        await keptn.do("test")
        await keptn.do("release")
        assert await keptn.state(context) == "finished"
    again.close()
