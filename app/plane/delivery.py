"""Pushes open task events to the door, as Keptn's distributor would, and keeps time. No rules."""

import asyncio
from dataclasses import dataclass

import httpx

from app.clock import Clock
from app.errors import Temporary
from app.plane.controller import Controller
from app.plane.store import Document, Store

TIMEOUT = 5.0
"""Seconds that the door has for its answer; a distributor gives no more."""

FIRST_DELAY, LAST_DELAY = 0.25, 5.0
AT_ONCE = 32
LONGEST_SLEEP = 60.0
"""Seconds; then the timers are looked at again, for somebody may have set the machine's clock."""


@dataclass(frozen=True, slots=True)
class Door:
    """Where events go; a token, if there is one, goes with them as x-token."""

    url: str
    token: str = ""


class Delivery:
    """Every open event until the door has taken it once, so that a slow one delays no other."""

    def __init__(self, door: Door, controller: Controller, store: Store, clock: Clock) -> None:
        self._door = door
        self._controller = controller
        self._store = store
        self._clock = clock
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._wake = asyncio.Event()
        self._in_flight: set[str] = set()

    async def run(self, start_timeout: float) -> None:
        """Deliver and keep time until cancelled."""
        loop = asyncio.get_running_loop()
        self._controller.wake = lambda: loop.call_soon_threadsafe(self._wake.set)
        headers = {"content-type": "application/cloudevents+json"}
        headers |= {"x-token": self._door.token} if self._door.token else {}
        client = httpx.AsyncClient(headers=headers, timeout=TIMEOUT, trust_env=False)
        async with client, asyncio.TaskGroup() as group:
            while True:
                self._wake.clear()
                waiting, pause = await asyncio.to_thread(self._look, start_timeout)
                for event in waiting:
                    self._in_flight.add(event["id"])
                    group.create_task(self._deliver(client, event))
                alarm = group.create_task(self._ring_after(pause))
                await self._wake.wait()
                alarm.cancel()

    def _look(self, start_timeout: float) -> tuple[list[Document], float]:
        """The open events that nobody delivers yet, and the seconds until the next timer."""
        try:
            pause = self._controller.tick(start_timeout)
        except Temporary:
            return [], LAST_DELAY
        waiting = self._store.find("events", "phase = 'open'")
        new = [event for event in waiting if event["id"] not in self._in_flight]
        return new, LONGEST_SLEEP if pause is None else min(pause, LONGEST_SLEEP)

    async def _ring_after(self, pause: float) -> None:
        await self._clock.sleep(pause)
        self._wake.set()

    async def _deliver(self, client: httpx.AsyncClient, event: Document) -> None:
        delay = FIRST_DELAY
        while not await self._attempt(client, event):
            await self._clock.sleep(delay * self._clock.jitter())
            delay = min(2 * delay, LAST_DELAY)
        self._in_flight.discard(event["id"])

    async def _attempt(self, client: httpx.AsyncClient, event: Document) -> bool:
        """Whether the event needs no further attempt."""
        body = {**event, "datacontenttype": "application/json"}
        async with self._slots:
            is_open = ("events", "phase = 'open' AND eventID = ?", event["id"])
            if not await asyncio.to_thread(self._store.find, *is_open):
                return True
            try:
                answer = await client.post(self._door.url, json=body)
                if answer.is_success:
                    await asyncio.to_thread(self._store.set_phase, event["id"], "taken")
            except (httpx.HTTPError, Temporary):
                return False
            return answer.is_success
