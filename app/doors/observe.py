"""The door for what others did, read from Keptn's datastore again and again: nothing is answered.

Triggered tasks come in through the other doors, for the datastore cannot tell which are open.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from app.core import Core
from app.errors import FirstmateError
from app.events import build, grammar
from app.events.parse import Event
from app.keptn.api import KeptnApi
from app.keptn.wanted import Wanted
from app.ledger import rows

FRESH_SECONDS, IDLE_SECONDS = 2.0, 20.0
OVERLAP_SECONDS = 120.0
"""How far each reading goes back: events are stored late, and their times compared as text."""

LOOK_BACK_SECONDS = 600.0
"""How far the first reading of a project goes back; a new one is known within 5 min."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Observer:
    """Reads each project on from where it was read to; `stirred` is told of wanted tasks."""

    api: KeptnApi
    core: Core
    wanted: Wanted
    accept: Callable[[Event], Awaitable[str]]
    stirred: Callable[[], None]
    _seen: dict[str, set[str]] = field(default_factory=dict)

    async def run(self) -> None:
        """Observe until cancelled; no failure ends it."""
        pause = FRESH_SECONDS
        while True:
            news = [await self._try(project) for project in self.wanted.projects]
            pause = FRESH_SECONDS if any(news) else min(2 * pause, IDLE_SECONDS)
            await self.core.clock.sleep(pause)

    async def _try(self, project: str) -> bool:
        try:
            return await self._read_on(project)
        except Exception as error:  # noqa: BLE001 - one project's fault must not stop the others
            ours = not isinstance(error, FirstmateError)
            _LOG.warning("%s not observed", project, extra={"cause": str(error)}, exc_info=ours)
            return False

    async def _read_on(self, project: str) -> bool:
        """Take in what a project has new; whether there was any."""
        now, name = self.core.clock.now(), f"observed {project}"
        saved = rows.mark(self.core.ledger.reader, name)
        mark = saved or now - LOOK_BACK_SECONDS
        since = build.timestamp(mark - OVERLAP_SECONDS)
        events = await self.api.events_since(project, since)
        seen = self._seen.get(project, set())
        new = [one for one in reversed(events) if one.id not in seen]
        await asyncio.gather(*map(self._take, new))
        self._seen[project] = {one.id for one in events}
        newest = max((build.seconds(one.time) or 0.0 for one in events), default=0.0)
        mark = max(mark, min(newest, now))  # a sender's clock may be ahead
        if mark != saved:
            await self.core.lifecycle.mark(name, mark)
        return bool(new)

    async def _take(self, event: Event) -> None:
        """Accept it, unless it is an echo of ours or only tells that a task has been triggered."""
        if grammar.triggered_task(event.type):
            if self.wanted.add(event.type):
                self.stirred()
        elif event.source != self.core.source:
            await self.accept(event)
