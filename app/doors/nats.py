"""The door to Keptn's NATS: whatever is published there is taken as if it had been pushed.

How the connection is kept is the broker's business; what it missed, others find out.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from app.core import Core
from app.errors import BadEvent
from app.events import grammar, parse
from app.events.parse import Event
from app.ledger import rows

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class NatsDoor:
    """Takes the events of all others, up to so many bytes; `check` closes what Keptn has ended."""

    core: Core
    accept: Callable[[Event], Awaitable[str]]
    check: Callable[[int], Awaitable[None]]
    max_event_bytes: int

    async def receive(self, body: bytes) -> None:
        """Accept one event; nobody hears of it when that fails, and nobody delivers it again."""
        rejected = self.core.metrics.rejected
        if len(body) > self.max_event_bytes:
            rejected.labels("413").inc()
            _LOG.warning("event of %d bytes not taken: see MAX_EVENT_BYTES", len(body))
            return
        try:
            event = parse.parse({}, body)
            if event.source != self.core.source:
                await self.accept(event)
                await self._heed_end(event)
        except BadEvent:
            rejected.labels("400").inc()
        except Exception:  # noqa: BLE001 - one event's fault must not stop the others
            rejected.labels("503").inc()
            _LOG.exception("event not taken")

    async def _heed_end(self, event: Event) -> None:
        """When a sequence ended, by an abort perhaps, check the runs that it leaves behind."""
        if (grammar.sequence_event(event.type) or ("",))[-1] != "finished":
            return
        ended = event.shkeptncontext, event.named("stage")
        for run in rows.under_way(self.core.ledger.reader):
            if (run["context"], run["stage"]) == ended:
                await self.check(run["id"])
