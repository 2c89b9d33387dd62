"""How long the plane remembers: runs, log entries, integrations. An open run is never touched."""

import asyncio

from app.clock import Clock
from app.errors import Temporary
from app.events.build import timestamp
from app.plane.store import OPEN_STATES, Store

KEPT = {"logs": 120 * 3600.0, "integrations": 48 * 3600.0}
"""Seconds, as in Keptn: a log entry; an integration since it was last heard of."""

AT_ONCE = 200
"""Runs in one transaction, so that nobody else waits for long."""

MOST = 1_000_000
"""Events, about, however young."""

PAUSE, BREATH = 60.0, 0.1
_ENDED = f"""
SELECT DISTINCT keptnContext FROM events AS e
WHERE n IN (
    SELECT n FROM events WHERE time < :before
    UNION SELECT n FROM events WHERE n <= (SELECT max(n) FROM events) - :most
) AND NOT EXISTS (
    SELECT 1 FROM executions AS x
    WHERE x.keptnContext = e.keptnContext AND x.status IN {OPEN_STATES}
) AND NOT EXISTS (
    SELECT 1 FROM events AS o WHERE o.keptnContext = e.keptnContext AND (
        o.phase NOT IN ('', 'closed')
        OR o.time >= :before AND o.n > (SELECT max(n) FROM events) - :most
    )
) LIMIT {AT_ONCE}"""  # noqa: S608


class Retention:
    """Forgets runs that have ended.

    A run goes when its last event is older than `seconds`, or not among about the last `most`.
    """

    def __init__(self, store: Store, clock: Clock, seconds: float, most: int = MOST) -> None:
        self._store, self._clock = store, clock
        self._seconds, self._most = seconds, most

    async def run(self) -> None:
        """Forget what is too old until cancelled."""
        while True:
            await self._clock.sleep(PAUSE)
            try:
                while await asyncio.to_thread(self.tidy) == AT_ONCE:
                    await self._clock.sleep(BREATH)
            except Temporary:  # the disk: whoever has something to store will tell
                continue

    def tidy(self) -> int:
        """Forget a few of what is too old; returns how many runs."""
        now = self._clock.now()
        with self._store.transaction():
            before = timestamp(now - self._seconds)
            ended = self._store.query(_ENDED, before=before, most=self._most)
            for table in ("events", "executions", "pauses"):
                for run in ended:
                    self._store.query(f"DELETE FROM {table} WHERE keptnContext = ?", *run)  # noqa: S608
            for table, seconds in KEPT.items():
                old = timestamp(now - seconds)
                self._store.query(f"DELETE FROM {table} WHERE time < ?", old)  # noqa: S608
        return len(ended)
