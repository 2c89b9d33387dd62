"""Carrying notices to people: at least once, in order, within a rate; what cannot go is skipped.

One `Courier` a channel, as channels come and go. How a notice looks is its notifier's business.
"""

import asyncio
import json
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping

from app.core import Core
from app.errors import FirstmateError, Temporary
from app.ledger import Letter, outbox, rows
from app.notifiers.channel import Notifier
from app.outbound import Refused
from app.senders import Carrier, Lane

PATIENCE = 86_400.0
"""Seconds after which a notice is given up, where it is the channel that fails."""

AT_ONCE = 8
WINDOW = 128
"""How many of a channel's first notices are looked at: far more than ever wait for another try."""

LOOK_SECONDS = 1.0
_CHANNELS_FAULT = (404, 410)
"""A wrong or revoked address, which somebody may mend; all else refused is the notice's fault."""

_LOG = logging.getLogger(__name__)


class Courier(Carrier):
    """Carries one channel's notices; a lane is a Keptn context, so a sequence is told in order.

    Nobody can be asked what arrived, so a letter whose fate is open goes again, and may come twice.
    """

    def __init__(self, notifier: Notifier, core: Core) -> None:
        super().__init__(notifier.channel.name, core, AT_ONCE)
        self._notifier = notifier
        rate = notifier.channel.rate_limit
        self._begun = deque[float](maxlen=rate.messages if rate else 0)
        self._missed = rows.untold(core.ledger.reader, self.name)

    def _due(self, now: float, limit: int) -> Iterable[tuple[Lane, Letter]]:
        """Those never tried come first, so that one that always fails delays no other for long."""
        reader, heads = self._ledger.reader, dict[Lane, tuple[float, int]]()
        for letter_id, run, due, context in rows.first_notices(reader, self.name, now, WINDOW):
            heads.setdefault(context or run, (due, letter_id))
        waiting = sorted((head, lane) for lane, head in heads.items() if lane not in self._carrying)
        for (due, letter_id), lane in waiting[: min(limit, self._allowance())]:
            if due <= now:
                yield lane, rows.letter(reader, letter_id)

    def _allowance(self) -> int:
        """How many may go now; when none may, the channel is left alone until one may."""
        if not (rate := self._notifier.channel.rate_limit):
            return AT_ONCE
        since = self._clock.tick() - rate.seconds
        free = rate.messages - sum(begun > since for begun in self._begun)
        if not free:
            self._not_before = max(self._not_before, self._begun[0] + rate.seconds)
        return free

    async def _advance(self, letter: Letter) -> None:
        self._begun.append(self._clock.tick())
        now = self._clock.now()
        missed, self._missed = self._missed, 0
        try:
            await self._notifier.deliver(letter.body, missed)
        except (FirstmateError, ValueError) as error:
            self._missed += missed
            if isinstance(error, Temporary) or getattr(error, "status", 0) in _CHANNELS_FAULT:
                await self._try_later(letter, error)
            else:
                what = str(error) if isinstance(error, Refused) else "it is no letter of this kind"
                await self._give_up(what, "id = ?", letter.id)
        else:
            self._failures = 0
            await self._settle(letter, "done")
            if missed:
                await self._ledger.write(lambda db: outbox.told(db, self.name, now))

    async def _try_later(self, letter: Letter, error: Exception) -> None:
        now, note = self._clock.now(), str(error)
        due = max(self._rest(error), now + self._clock.backoff(letter.attempts + 1))
        await self._change(letter, due=due, note=note, attempts=letter.attempts + 1)
        if letter.written < now - PATIENCE:
            which = "destination = ? AND written < ?"
            await self._give_up(note, which, self.name, now - PATIENCE)

    async def _give_up(self, note: str, where: str, *values: object) -> None:
        now = self._clock.now()
        dead = await self._ledger.write(lambda db: outbox.give_up(db, now, note, where, *values))
        self._missed += dead
        self._core.metrics.dead.labels(self.name).inc(dead)
        _LOG.error("%s: notices given up", self.name, extra={"cause": note, "number": dead})


class Couriers:
    """A courier for each channel there is; `channels` is asked every second for what there is."""

    def __init__(self, channels: Callable[[], Mapping[str, Notifier]], core: Core) -> None:
        self._channels = channels
        self._core = core
        self._followed: Mapping[str, Notifier] = {}
        self._at_work: dict[str, tuple[Courier, asyncio.Task[None]]] = {}
        self._watch()

    def wake(self) -> None:
        """There may be something new to carry."""
        for courier, _ in self._at_work.values():
            courier.wake()

    async def run(self) -> None:
        """Carry until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                if (channels := self._channels()) is not self._followed:
                    await self._follow(channels, group)
                await self._core.clock.sleep(LOOK_SECONDS)

    async def _follow(self, channels: Mapping[str, Notifier], group: asyncio.TaskGroup) -> None:
        before, self._followed = self._followed, channels
        for name in [name for name, one in before.items() if channels.get(name) != one]:
            self._at_work.pop(name)[1].cancel()
        for name in channels.keys() - self._at_work.keys():
            courier = Courier(channels[name], self._core)
            self._at_work[name] = courier, group.create_task(courier.run(), name=f"channel {name}")
        now, where = self._core.clock.now(), "destination NOT IN (SELECT value FROM json_each(?))"
        note, known = "there is no such channel any more", json.dumps(list(channels))
        await self._core.ledger.write(lambda db: outbox.give_up(db, now, note, where, known))

    def _watch(self) -> None:
        """The figures that are read from the ledger when asked for."""
        reader, gauges = self._core.ledger.reader, self._core.metrics.gauges

        def waiting() -> dict[str, float]:
            return {name: rows.waiting_letters(reader, name) for name in self._at_work}

        def ages() -> dict[str, float]:
            now = self._core.clock.now()
            since = {name: rows.oldest_letter(reader, name) or now for name in self._at_work}
            return {name: max(0.0, now - at) for name, at in since.items()}

        gauges("notices", "Notices that wait", "channel", waiting)
        gauges("notice_age_seconds", "Age of the oldest of them", "channel", ages)
