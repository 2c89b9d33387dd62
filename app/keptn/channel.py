"""Keptn as a destination of letters: what may be sent again, and what a sidecar's 200 is worth.

How often and when is the sender's business.
"""

import logging
import sqlite3
from collections.abc import Awaitable, Callable

from app.core import Core
from app.errors import Permanent, Temporary
from app.events import parse
from app.events.parse import Event
from app.keptn import lookup
from app.keptn.api import KeptnApi
from app.ledger import outbox, rows
from app.ledger.rows import Letter
from app.lifecycle import KEPTN
from app.senders import SETTLE_SECONDS, Channel, backoff

ASK_AFTER = 540.0
"""Seconds after an event's time from which a first `started` is sent only if still wanted."""

CONFIRM_TICK = 0.5
MOST_LOOKUPS = 16
_LOG = logging.getLogger(__name__)
Refuse = Callable[[int, str], Awaitable[None]]


class KeptnChannel(Channel):
    """Sends answers and log entries, and asks Keptn about those whose fate is open."""

    name = KEPTN

    def __init__(self, api: KeptnApi, core: Core, refuse: Refuse) -> None:
        self._api = api
        self._core = core
        self._ledger = core.ledger
        self._refuse = refuse

    async def send(self, letter: Letter) -> bool:
        """Send once; only Keptn's own API proves with its reply that the event arrived."""
        if letter.kind == "log":
            await self._api.send_log(letter.body)
            return True
        await self._api.send_event(letter.body)
        return self._api.endpoint.final

    async def has(self, letter: Letter) -> bool:
        """Whether Keptn has this answer; a log entry that came twice harms nobody."""
        if letter.kind == "log":
            return False
        found = await lookup.arrived(self._api, self._event(letter), self._core.source)
        return found.has(letter.kind, self._copy(letter))

    async def wants(self, letter: Letter) -> bool:
        """Whether a first answer that is very late is still waited for."""
        run = rows.run(self._ledger.reader, letter.run)
        if letter.kind != "started" or self._core.clock.now() - run.happened < ASK_AFTER:
            return True
        return await self._api.is_open(self._event(letter))

    async def turned_down(self, letter: Letter, reason: str) -> None:
        """A `started` that is not wanted ends the run; a `finished` then has nobody to tell."""
        if letter.kind == "started":
            await self._refuse(letter.run, reason)

    def _event(self, letter: Letter) -> Event:
        return parse.restore(rows.run(self._ledger.reader, letter.run).event)

    def _copy(self, letter: Letter) -> int:
        """Which of its kind this letter is in its run, from 1."""
        alike = [
            one
            for one in rows.letters(self._ledger.reader, letter.run)
            if one.kind == letter.kind and one.destination == KEPTN and one.id <= letter.id
        ]
        return len(alike)


class Confirmer:
    """Looks up, once per run and outside the answer's path, what a sidecar only said it took."""

    def __init__(self, api: KeptnApi, core: Core) -> None:
        self._api = api
        self._core = core
        self._ledger = core.ledger
        self._clock = core.clock
        self.lost: Callable[[], None] = lambda: None
        """Called when something must be sent again."""

    async def run(self) -> None:
        """Confirm until cancelled."""
        while True:
            before = self._clock.now() - SETTLE_SECONDS
            for run_id in rows.unconfirmed(self._ledger.reader, before, MOST_LOOKUPS):
                await self._confirm(run_id)
            await self._clock.sleep(CONFIRM_TICK)

    async def _confirm(self, run_id: int) -> None:
        letters = [
            one
            for one in rows.letters(self._ledger.reader, run_id)
            if one.destination == KEPTN and one.kind != "log"
        ]
        event = parse.restore(rows.run(self._ledger.reader, run_id).event)
        try:
            found = await lookup.arrived(self._api, event, self._core.source)
            missing = [
                one for one in letters if one.state == "sent" and not _is_in(found, one, letters)
            ]
            given_up = bool(missing) and not await self._api.is_open(event)
        except Temporary as error:
            await self._postpone(letters, str(error))
            return
        except Permanent as error:
            self._core.metrics.doubtful.labels("unconfirmed").inc()
            missing, given_up = [], False
            _LOG.warning("cannot be confirmed", extra={"run": run_id, "cause": str(error)})
        await self._close(letters, [] if given_up else missing)

    async def _close(self, letters: list[Letter], missing: list[Letter]) -> None:
        """Settle what arrived, and owe the rest again, later with each attempt."""
        now = self._clock.now()
        lost = {one.id: now + backoff(one.attempts, self._clock) for one in missing}

        def transact(db: sqlite3.Connection) -> None:
            for letter in (one for one in letters if one.state == "sent"):
                if letter.id in lost:
                    outbox.put_back(db, letter.id, lost[letter.id], "lost on its way")
                else:
                    outbox.settle(db, letter.id, "done", now)

        await self._ledger.write(transact)
        if lost:
            self.lost()

    async def _postpone(self, letters: list[Letter], note: str) -> None:
        waiting = [one for one in letters if one.state == "sent"]
        due = self._clock.now() + backoff(10, self._clock)

        def transact(db: sqlite3.Connection) -> None:
            for letter in waiting:
                outbox.leave_open(db, letter.id, due, note)

        await self._ledger.write(transact)


def _is_in(found: lookup.Arrived, letter: Letter, letters: list[Letter]) -> bool:
    earlier = [one for one in letters if one.kind == letter.kind and one.id <= letter.id]
    return found.has(letter.kind, len(earlier))
