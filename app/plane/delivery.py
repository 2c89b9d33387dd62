"""Pushes open task events and the ends of sequences to the door, as Keptn's distributor would.

It also keeps time; what an event means is the controller's business.
"""

import asyncio
from dataclasses import dataclass, field

import httpx

from app.clock import Clock
from app.errors import Temporary
from app.plane.controller import Controller
from app.plane.store import Document, Store

AT_ONCE, LONGEST_DELAY = 32, 5.0
_WANTED = "phase IN ('open', 'untold')"
LONGEST_SLEEP = 60.0
"""Seconds; then the timers are looked at again, for somebody may have set the machine's clock."""


@dataclass(frozen=True)
class Delivery:
    """Every event that is wanted there until the door has taken it once, each by itself.

    `door` is a client whose base URL is the door; `start_timeout` is in seconds.
    """

    door: httpx.AsyncClient
    controller: Controller
    store: Store
    clock: Clock
    start_timeout: float
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    _in_flight: set[str] = field(default_factory=set)

    async def run(self) -> None:
        """Deliver and keep time until cancelled."""
        loop, woken = asyncio.get_running_loop(), asyncio.Event()
        self.controller.wake = lambda: loop.call_soon_threadsafe(woken.set)
        async with self.door, asyncio.TaskGroup() as group:
            while True:
                woken.clear()
                waiting, moment = await asyncio.to_thread(self._look)
                for event in waiting:
                    self._in_flight.add(event["id"])
                    group.create_task(self._deliver(event))
                pause = moment - self.clock.now()  # which may have been set meanwhile
                await self.clock.wait(woken, min(max(0.0, pause), LONGEST_SLEEP))

    def _look(self) -> tuple[list[Document], float]:
        """The events that nobody delivers yet, and when to look again."""
        try:
            moment = self.controller.tick(self.start_timeout)
            waiting = self.store.find("events", _WANTED)
        except Temporary:
            return [], self.clock.now() + LONGEST_DELAY
        new = [event for event in waiting if event["id"] not in self._in_flight]
        return new, moment

    async def _deliver(self, event: Document) -> None:
        failures = 0
        while not await self._attempt(event):
            failures += 1
            await self.clock.sleep(self.clock.backoff(failures, LONGEST_DELAY))
        self._in_flight.discard(event["id"])

    async def _attempt(self, event: Document) -> bool:
        """Whether the event needs no further attempt."""
        body = {**event, "datacontenttype": "application/json"}
        still_open = ("events", f"{_WANTED} AND eventID = ?", event["id"])
        after = "taken" if event["type"].endswith(".triggered") else "closed"
        try:
            async with self._slots:
                if not await asyncio.to_thread(self.store.find, *still_open):
                    return True
                taken = (await self.door.post("", json=body)).is_success
                if taken:
                    await asyncio.to_thread(self.store.set_phase, event["id"], after)
                return taken
        except (httpx.HTTPError, Temporary):
            return False
