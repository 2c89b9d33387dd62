"""Carrying the outbox to its destinations: in order per run, again until it is settled.

One `Carrier` a destination. What a message says is not its business; what may be sent again is.
"""

import abc
import asyncio
import logging
from collections.abc import Hashable, Iterable, Sequence

from app import boundaries, log
from app.core import Core
from app.errors import Permanent, Temporary
from app.ledger import Letter, outbox, rows
from app.outbound import NotSent, Refused, Unclear

SETTLE_SECONDS = 2.0
"""How long an event may be on its way inside Keptn before its absence means that it is lost."""

UNEXPLAINED_ATTEMPTS = 240
"""How often a message is sent that is refused without a word of Keptn's: for about an hour."""

LOOKUP_PATIENCE = 120.0
"""Seconds after which a Keptn that takes requests but cannot tell what arrived counts as mute."""

Lane = Hashable
"""Letters of one lane go one after the other."""

_LOG = logging.getLogger(__name__)


class Channel(abc.ABC):
    """A destination: how to send to it, and what it can say of earlier attempts."""

    name: str

    @abc.abstractmethod
    async def send(self, letter: Letter) -> bool:
        """Send once; True when the reply proves arrival. Raises as `app.outbound` does."""

    async def arrived(self, letters: Sequence[Letter]) -> set[int]:  # noqa: ARG002 - see below
        """The ids of those letters of one run that arrived; who cannot tell gets them again.

        Raises:
            Temporary: it cannot be asked now.
            Permanent: it can never be asked, and a second one may do harm.
        """
        return set()

    async def wants(self, letter: Letter) -> bool:  # noqa: ARG002 - for those who can be asked
        """Whether it still makes sense to send this."""
        return True

    async def unwanted(self, letter: Letter, reason: str) -> None:  # noqa: B027 - not needed by all
        """The receiver waits for nothing any more, or will never have a letter of this kind."""

    async def refused(self, letter: Letter, reason: str) -> None:
        """The receiver will not have this letter; it stays in the ledger with the reason."""
        await self.unwanted(letter, reason)


class Carrier(abc.ABC):
    """The one who carries all letters of a destination: many lanes at a time, one after a failure.

    Attributes:
        name: the destination.
    """

    def __init__(self, name: str, core: Core, in_flight: int) -> None:
        self.name = name
        self._core, self._in_flight = core, in_flight
        self._ledger, self._clock = core.ledger, core.clock
        self._carrying: dict[Lane, asyncio.Task[None]] = {}
        self._failures, self._resting_until, self._not_before = 0, 0.0, 0.0
        self._woken = asyncio.Event()

    @abc.abstractmethod
    def _due(self, now: float, limit: int) -> Iterable[tuple[Lane, Letter]]:
        """What may go now, the first of each lane, in the order in which it should."""

    @abc.abstractmethod
    async def _advance(self, letter: Letter) -> None:
        """One step with a letter."""

    def wake(self) -> None:
        """There may be something new to carry."""
        self._woken.set()

    async def run(self) -> None:
        """Carry until cancelled."""
        try:
            while True:
                self._woken.clear()
                self._pick_up()
                await self._clock.wait(self._woken, self._idle_seconds())
        finally:  # nothing may be under way any more when the ledger and the network are closed
            for task in (under_way := list(self._carrying.values())):
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    @property
    def _limit(self) -> int:
        return 1 if self._failures else self._in_flight

    def _pick_up(self) -> None:
        """Start what is due, within the limit; while the destination fails, one at a time."""
        busy, limit = len(self._carrying), self._limit
        if busy >= limit or self._clock.tick() < self._not_before:
            return
        for lane, letter in self._due(self._clock.now(), limit + busy):
            if lane not in self._carrying and len(self._carrying) < limit:
                task = asyncio.create_task(self._carry(lane, letter), name=f"send {letter.kind}")
                self._carrying[lane] = task

    def _idle_seconds(self) -> float | None:
        """Until when there is nothing to do; a destination that rests is not even looked at."""
        if len(self._carrying) >= self._limit:
            return None
        if (rest := self._not_before - self._clock.tick()) > 0:
            return rest
        now = self._clock.now()
        due = rows.next_due(self._ledger.reader, self.name, now)
        # What is due is under way, or waits for its lane's earlier letter; others may come due.
        return None if due is None else max(due - now, 0.0) or self._clock.first_delay

    async def _carry(self, lane: Lane, letter: Letter) -> None:
        words = {"kind": letter.kind, "destination": self.name, "state": letter.state}
        try:
            run, begun = rows.run(self._ledger.reader, letter.run), self._clock.now()
            with log.bound(run=run.id, event=run.event_id, context=run.context):
                await self._advance(letter)
                self._core.tracer.ended("send", run, begun, self._clock.now(), **words)
        except Temporary as error:  # the ledger is full: the letter stays as it is
            _LOG.warning("letter waits", extra={"run": letter.run, "cause": str(error)})
            await self._clock.sleep(self._clock.first_delay)
        except Exception:  # noqa: BLE001 - one letter's fault must not stop the others
            _LOG.exception("letter failed", extra={"run": letter.run, "kind": letter.kind})
            await self._clock.sleep(self._clock.longest_delay)
        finally:
            del self._carrying[lane]
            self._woken.set()

    async def _settle(self, letter: Letter, state: str, note: str = "") -> None:
        """Close the letter, or, accepted without proof, look again after a while."""
        now = self._clock.now()
        again = min(SETTLE_SECONDS * (1 + letter.attempts), self._clock.longest_delay)
        if state == "done":
            self._core.metrics.sent.labels(self.name, letter.kind).inc()
        await self._change(letter, state=state, sent=now, due=now + again, note=note)

    async def _change(self, letter: Letter, **columns: object) -> bool:
        """Note it in the ledger; False when nothing is to be done with the letter any more."""
        return await self._ledger.write(lambda db: outbox.change(db, letter.id, **columns))

    def _rest(self, error: Exception) -> float:
        """The destination fails: leave it alone for a while; until when."""
        now = self._clock.tick()
        if now >= self._resting_until:  # what was under way together fails together: counted once
            self._failures += 1
            if self._failures == 1:
                _LOG.warning("%s does not take messages", self.name, extra={"cause": str(error)})
        asked = error.after if isinstance(error, Temporary) else None
        pause = asked or self._clock.backoff(self._failures)
        self._resting_until = max(self._resting_until, now + pause)
        self._not_before = max(self._not_before, self._resting_until)
        return self._clock.now() + self._resting_until - now


class Sender(Carrier):
    """Carries what Keptn is to hear: sends again only what surely, or possibly, did not arrive.

    A lane is a run; looking up what was accepted delays none of its other messages.
    """

    def __init__(self, channel: Channel, core: Core, *, in_flight: int = 32) -> None:
        super().__init__(channel.name, core, in_flight)
        self._channel = channel

    def _due(self, now: float, limit: int) -> Iterable[tuple[Lane, Letter]]:
        for letter in rows.due_letters(self._ledger.reader, self.name, now, limit):
            yield (letter.run, letter.state == "sent"), letter

    async def _advance(self, letter: Letter) -> None:
        """One step: ask about an attempt whose fate is open, else send."""
        if letter.state != "ready" and not await self._is_missing(letter):
            return
        if not await self._is_wanted(letter):
            return
        now = self._clock.now()
        if letter.state == "sent":  # it queues up again, so that only one lane ever sends
            await self._change(letter, state="ready", due=now, note="lost")
            return
        intent = {"state": "sending", "attempts": letter.attempts + 1, "sent": now}
        if not await self._change(letter, **intent):  # from here on it may have arrived
            return
        try:
            proven = await self._send(letter)
        except NotSent as error:
            await self._wait_for_destination(letter, error)
        except Unclear as error:
            await self._leave_open(letter, error, sent=self._clock.now())
        except Refused as error:
            await self._turn_down(letter, error)
        else:
            self._failures = 0
            await self._settle(letter, "done" if proven else "sent")

    async def _send(self, letter: Letter) -> bool:
        boundaries.reached("intent committed")
        try:
            return await self._channel.send(letter)
        finally:
            boundaries.reached("reply received")

    async def _is_missing(self, letter: Letter) -> bool:
        """Whether an earlier attempt surely, or possibly, is lost, so that it must go again.

        With a letter that was accepted without proof, all such letters of its run are looked up.
        """
        alike = [letter]
        if letter.state == "sent":
            others = rows.letters(self._ledger.reader, letter.run)
            alike = [one for one in others if (one.destination, one.state) == (self.name, "sent")]
        try:
            arrived = await self._channel.arrived(alike)
        except Temporary as error:
            if isinstance(error, Unclear) and self._age(letter) > LOOKUP_PATIENCE:
                return await self._doubt(letter)
            await self._leave_open(letter, error)
            return False
        except Permanent:
            return await self._doubt(letter)
        for one in alike:
            if one.id in arrived:
                await self._settle(one, "done")
        if letter.id in arrived:
            return False
        if self._age(letter) < SETTLE_SECONDS:
            await self._leave_open(letter, Temporary("not there yet", after=SETTLE_SECONDS))
            return False
        return True

    async def _doubt(self, letter: Letter) -> bool:
        """Nobody can tell: what was accepted is left at that, all else goes again."""
        accepted = letter.state == "sent"
        self._core.metrics.doubtful.labels("unconfirmed" if accepted else letter.kind).inc()
        _LOG.warning("whether %s arrived cannot be asked", letter.kind)
        if accepted:
            await self._settle(letter, "done")
            return False
        if letter.kind == "started":
            await self._core.lifecycle.owe_another(letter.run)
        return True

    async def _is_wanted(self, letter: Letter) -> bool:
        try:
            wanted = await self._channel.wants(letter)
        except Temporary as error:
            fresh = letter.state == "ready"
            await (self._wait_for_destination if fresh else self._leave_open)(letter, error)
            return False
        if not wanted:
            reason = "Keptn no longer waits for an answer"
            await self._settle(letter, "dropped", reason)
            await self._channel.unwanted(letter, reason)
        return wanted

    async def _turn_down(self, letter: Letter, error: Refused) -> None:
        """What Keptn itself refuses is the letter's fault; a proxy before it may think again."""
        if error.unserved or error.status == 404:  # noqa: PLR2004 - the HTTP status
            await self._wait_for_destination(letter, NotSent(str(error)))
            return
        if not error.explained and letter.attempts < UNEXPLAINED_ATTEMPTS:
            due = self._clock.now() + self._clock.backoff(letter.attempts + 1)
            await self._change(letter, state="ready", due=due, note=str(error))
            return
        _LOG.error("%s refused", letter.kind, extra={"cause": str(error)})
        await self._settle(letter, "refused", str(error))
        await self._channel.refused(letter, str(error))

    async def _wait_for_destination(self, letter: Letter, error: Temporary) -> None:
        """It surely did not arrive, and goes again when the destination is well."""
        await self._change(letter, state="ready", due=self._rest(error), note=str(error))

    async def _leave_open(self, letter: Letter, error: Temporary, **sent: float) -> None:
        """It may have arrived, which is asked for later; `sent`: when it left, if just now."""
        pause = error.after or self._clock.backoff(letter.attempts + 1)
        await self._change(letter, due=self._clock.now() + pause, note=str(error), **sent)

    def _age(self, letter: Letter) -> float:
        """Seconds since the letter was last on its way."""
        return self._clock.now() - (letter.sent or letter.written)
