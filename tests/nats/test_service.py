"""A whole service at a real nats-server: what it takes from there and what it leaves there."""

from collections.abc import Callable

from tests.captain import Captain, config
from tests.nats.server import NatsServer
from tests.ship import Ship, eventually


async def subscribed(ship: Ship) -> Ship:
    """The service, once events reach it."""

    async def is_connected() -> bool:
        return (await ship.figures())["firstmate_nats_connected"] == 1

    await eventually(is_connected)
    return ship


async def test_a_task_that_came_over_nats_is_answered_into_the_stream(
    joined: Captain, server: NatsServer, connected: Callable[..., Ship]
) -> None:
    joined.put(config("true"))
    await subscribed(connected(eventbroker=server.url))
    before = joined.keptn.state()["requests"].get("event", 0)
    triggered = await joined.trigger("nats")
    assert (await joined.wait(triggered))["closed_by"] == "completed"
    assert joined.counts(triggered) == (1, 1)
    assert not joined.violations(triggered)
    assert joined.keptn.state()["requests"].get("event", 0) == before
