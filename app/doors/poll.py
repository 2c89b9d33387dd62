"""The door that looks for itself, and how often any door has Keptn's open events compared.

What is done with them is decided in `app.keptn.reconcile`.
"""

import asyncio
import logging

from app.core import Core
from app.errors import FirstmateError
from app.keptn.reconcile import Reconciler
from app.keptn.wanted import Wanted
from app.ledger import rows

BUSY_SECONDS, IDLE_SECONDS = 0.5, 20.0
QUIET_SHARE = 0.1
"""The pause between two looks, as a share of the time since something last happened."""

WATCH_SECONDS = 8.0
"""How often the events of open runs are looked at, for an abort or a pause."""

WHOLE_SECONDS = 60.0
"""How often everything is compared, whatever the door."""

_LOG = logging.getLogger(__name__)


class Poll:
    """Looks again and again, until cancelled; where nothing `polls`, another door brings news."""

    def __init__(self, reconciler: Reconciler, wanted: Wanted, core: Core, *, polls: bool) -> None:
        self._reconciler, self._wanted, self._polls = reconciler, wanted, polls
        self._reader, self._clock = core.ledger.reader, core.clock
        self._woken = asyncio.Event()
        self._stirred = self._whole_at = core.clock.tick()

    def wake(self) -> None:
        """Something happened that Keptn may have new work, or an end, for: look soon."""
        self._stirred = self._clock.tick()
        self._woken.set()

    def compare_all(self) -> None:
        """Another door may have missed something: compare everything soon."""
        self._whole_at = self._clock.tick()
        self._woken.set()

    async def run(self) -> None:
        """Look until cancelled; no failure of Keptn's, however often, ends it."""
        failures = 0
        while True:
            self._woken.clear()
            try:
                await self._look()
                failures, pause = 0, self._pause()
            except Exception as error:  # noqa: BLE001 - who looks no more, loses everything
                failures += 1
                ours = not isinstance(error, FirstmateError)
                if ours or failures == 1:
                    cause = {"cause": str(error)}
                    _LOG.warning("open events: none seen", extra=cause, exc_info=ours)
                pause = getattr(error, "after", None) or self._clock.backoff(failures)
            await self._clock.sleep(BUSY_SECONDS)  # however often it is woken
            await self._clock.wait(self._woken, max(0.0, pause - BUSY_SECONDS))

    async def _look(self) -> None:
        await self._wanted.refresh()
        now = self._clock.tick()
        whole = now >= self._whole_at
        types = self._wanted.types if whole or self._polls else ()
        if await self._reconciler.compare(types, repair=whole):
            self._stirred = self._clock.tick()
        if whole:
            self._whole_at = now + WHOLE_SECONDS

    def _pause(self) -> float:
        now, longest = self._clock.tick(), WATCH_SECONDS
        if self._polls:
            longest = longest if rows.open_runs(self._reader) else IDLE_SECONDS
            longest = min((now - self._stirred) * QUIET_SHARE, longest)
        return min(longest, self._whole_at - now)  # where nothing is open, a look asks nobody
