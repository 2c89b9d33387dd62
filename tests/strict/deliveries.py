"""The way to the service: a distributor that pushes triggered events to its door (§1.3).

Only the status of a reply matters to it; what the service sends back comes in elsewhere.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

import httpx

from tests.strict.broker import Broker
from tests.strict.counting import Task

NATS = "nats"
"""The door of those who are told by the server that their project joined."""

TIMEOUT = 5.0  # §1.3: covers the first try and its repetitions
WAITS = (0, 0.75, 1.5, 2.25)
POLL = 10.0  # §1.3, HTTP mode: an event that was not taken comes again while it is open


class Deliveries:
    """Pushes to `door`; `pace` shortens the waits between the tries, not the timeout."""

    def __init__(self, door: str, pace: float, broker: Broker) -> None:
        self._door, self._pace, self._broker = door, pace, broker
        unlimited = httpx.Limits(max_connections=None)
        self._client = httpx.AsyncClient(
            timeout=None, limits=unlimited, verify=False, trust_env=False
        )
        self._running: set[asyncio.Task[None]] = set()
        self._held: list[tuple[Task, int]] | None = None

    def push(self, task: Task, times: int | None = None) -> None:
        """Deliver a task's trigger, once for each subscription that it is said to match."""
        options = task.sequence.options
        if not (self._door or options.get("door")):
            return
        for number in range(options.get("deliver", 1) if times is None else times):
            if self._held is not None:
                self._held.append((task, number))
            else:
                self._spawn(self._until_taken(task, number))

    def hold(self) -> None:
        """Deliver nothing until `release`."""
        self._held = self._held or []

    async def release(self, *, backwards: bool) -> None:
        """Deliver what was held, one after the other, perhaps the last first."""
        held, self._held = self._held or [], None
        for task, number in reversed(held) if backwards else held:
            if not await self._taken(task, number):
                self._spawn(self._until_taken(task, number))

    def stop(self) -> None:
        """Forget everything that is still to be delivered."""
        self._held = None
        for running in self._running:
            running.cancel()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        running = asyncio.create_task(work)
        self._running.add(running)
        running.add_done_callback(self._running.discard)

    async def _until_taken(self, task: Task, number: int) -> None:
        taken = await self._taken(task, number)
        while not (taken or task.closed_by):
            await asyncio.sleep(POLL * self._pace)
            taken = await self._taken(task, number)

    async def _taken(self, task: Task, number: int) -> bool:
        try:
            async with asyncio.timeout(TIMEOUT):
                for wait in WAITS:
                    await asyncio.sleep(wait * self._pace)
                    if await self._post(task, number):
                        return True
        except TimeoutError:
            task.deliveries.append("timeout")
        return False

    async def _post(self, task: Task, number: int) -> bool:
        door = task.sequence.options.get("door") or self._door
        if door == NATS:
            await self._broker.publish(task.trigger)
            task.deliveries.append("published")
            return True
        try:
            reply = await self._client.post(
                door,
                json=_delivered(task.trigger, number),
                headers={"Content-Type": "application/cloudevents+json"},
            )
        except httpx.HTTPError as error:
            task.deliveries.append(type(error).__name__)
            return False
        task.deliveries.append(reply.status_code)
        task.sequence.tell()
        return reply.is_success


def _delivered(trigger: dict[str, Any], number: int) -> dict[str, Any]:
    """What the distributor adds (§1.3) and writes although it is empty (§1.1)."""
    given = trigger["data"].get("temporaryData")
    known = given if isinstance(given, dict) else {}
    extra = {"distributor": {"subscriptionID": f"subscription-{number + 1}"}}
    return trigger | {
        "datacontenttype": "application/json",
        "triggeredid": "",
        "data": trigger["data"] | {"temporaryData": known | extra},
    }
