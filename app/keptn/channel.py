"""Keptn as a destination of letters: what may be sent again, and what a sidecar's 200 is worth.

How often and when is the sender's business.
"""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from app.core import Core
from app.events import parse
from app.keptn import lookup
from app.keptn.api import KeptnApi
from app.ledger import rows
from app.ledger.rows import Letter, Run
from app.lifecycle import KEPTN
from app.outbound import Mute, Refused, Unclear
from app.senders import Channel

ASK_AFTER = 540.0
"""Seconds after an event's time from which a first `started` is sent only if still wanted."""

Publish = Callable[[str, str, str], Awaitable[bool]]
"""Given an event's type, body and id: whether a stream stored it; False where there is none."""


@dataclass(frozen=True)
class KeptnChannel(Channel):
    """Sends answers and log entries, and asks Keptn about those whose fate is open."""

    name = KEPTN
    api: KeptnApi
    core: Core
    refuse: Callable[[int, str], Awaitable[None]]
    publish: Publish | None = None

    async def send(self, letter: Letter) -> bool:
        """Send once; only a stream and Keptn's own API prove that the event arrived."""
        if letter.kind == "log":
            await self.api.send_log(letter.body)
            return True
        progress = letter.kind == "changed"
        try:
            if self.publish:
                event = json.loads(letter.body)
                if await self.publish(event["type"], letter.body, event["id"]):
                    return True
            await self.api.send_event(letter.body)
        except (Refused, Unclear) as error:
            if not progress:  # which gets one attempt: nothing may wait behind it
                raise
            self.core.lifecycle.tells_progress = not isinstance(error, Refused | Mute)
        return progress or self.api.endpoint.final

    async def arrived(self, letters: Sequence[Letter]) -> set[int]:
        """Which of a run's answers Keptn has; all else that came twice harms nobody."""
        answers = [letter for letter in letters if letter.kind in ("started", "finished")]
        if not answers:
            return set()
        run = self._run(answers[0])
        found = await lookup.arrived(self.api, parse.restore(run.event), self.core.source)
        for owed in range(run.owed, found.started):  # a sidecar may hand on one `started` twice
            await self.core.lifecycle.owe_another(run.id, owed)
        return {one.id for one in answers if found.has(one.kind, self._copy(one))}

    async def wants(self, letter: Letter) -> bool:
        """Whether an answer that is very late, or was lost, is still waited for."""
        run = self._run(letter)
        late = self.core.clock.now() - run.happened > ASK_AFTER
        if letter.state == "sent" or (letter.kind == "started" and late):
            return await self.api.is_wanted(parse.restore(run.event))
        return True

    async def unwanted(self, letter: Letter, reason: str) -> None:
        """A `started` that is not wanted ends the run; a `finished` then has nobody to tell."""
        if letter.kind == "started":
            await self.refuse(letter.run, reason)

    async def refused(self, letter: Letter, reason: str) -> None:
        """For a `finished` goes a plain one, for Keptn waits."""
        if letter.kind == "finished":
            await self.core.lifecycle.answer_plainly(letter.run, reason)
        await self.unwanted(letter, reason)

    def _run(self, letter: Letter) -> Run:
        return rows.run(self.core.ledger.reader, letter.run)

    def _copy(self, letter: Letter) -> int:
        """Which of its kind this letter is in its run, from 1."""
        letters = rows.letters(self.core.ledger.reader, letter.run)
        alike = [one.id for one in letters if (one.kind, one.destination) == (letter.kind, KEPTN)]
        return sum(one <= letter.id for one in alike)
