"""The door to Keptn's NATS: whatever is published there is taken as if it had been pushed.

How the connection is kept is the broker's business.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from app.clock import Clock
from app.errors import BadEvent, Temporary
from app.events import grammar, parse
from app.events.parse import Event
from app.lifecycle import Lifecycle
from app.metrics import Metrics

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class NatsDoor:
    """Takes the events of everybody but `source`, which is us.

    `take` is told of each new run, `ended` of each sequence that ended, however it did.
    """

    lifecycle: Lifecycle
    metrics: Metrics
    clock: Clock
    source: str
    take: Callable[[int], None]
    ended: Callable[[Event], Awaitable[None]]

    async def receive(self, body: bytes) -> None:
        """Accept one event; nobody hears of it when that fails, and nobody delivers it again."""
        try:
            event = parse.parse({}, body)
            if event.source != self.source:
                await self._accept(event)
        except BadEvent:
            self.metrics.rejected.labels("400").inc()
        except Exception:  # noqa: BLE001 - one event's fault must not stop the others
            self.metrics.rejected.labels("503").inc()
            _LOG.exception("event not accepted")

    async def _accept(self, event: Event) -> None:
        verdict, run_id = await self._store(event)
        if run_id is not None:
            self.take(run_id)
        self.metrics.accepted.labels(verdict).inc()
        if (grammar.sequence_event(event.type) or ("",))[-1] == "finished":
            await self.ended(event)

    async def _store(self, event: Event) -> tuple[str, int | None]:
        while True:
            try:
                return await self.lifecycle.accept(event)
            except Temporary as error:  # the disk is full
                _LOG.warning("event waits", extra={"cause": str(error)})
                await self.clock.sleep(self.clock.longest_delay)
