"""Forgetting what is old, so that the ledger and the kept output stay bounded.

What may be forgotten, and what never, stands in the ledger.
"""

import contextlib
import functools

from app.clock import Clock
from app.engines.contract import Engine
from app.ledger import Ledger, LedgerFull, outbox

PAUSE_SECONDS = 3600.0


async def run(ledger: Ledger, engine: Engine, clock: Clock, runs: float, ids: float) -> None:
    """Forget runs with their output, and event ids, after so many seconds; until cancelled."""
    while True:
        now, keys = clock.now(), list[str]()
        with contextlib.suppress(LedgerFull):  # then there is nothing to be done but wait
            forget = functools.partial(outbox.prune, runs_before=now - runs, seen_before=now - ids)
            keys = await ledger.write(forget)
        for key in keys:
            engine.forget(key)
        await clock.sleep(1.0 if keys else PAUSE_SECONDS)
