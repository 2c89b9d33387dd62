"""Keeping the ledger and what Keptn has open in step, whatever the door: taken, closed, repaired.

When to look is the door's business; how a run is driven, the worker's; what of an answer is
missing, the sender's.
"""

import asyncio
import logging
from collections.abc import Collection, Iterable
from itertools import groupby
from operator import itemgetter
from typing import Any, Protocol

from app.core import Core
from app.errors import Permanent, Temporary
from app.events import grammar, parse
from app.events.parse import Event
from app.keptn import lookup
from app.keptn.api import KeptnApi, mappings
from app.ledger import Run, outbox, rows
from app.outbound import Refused
from app.planning import Plan

SETTLED_SECONDS = 60.0
"""How long an answered event may go on being open before the answers are looked up again."""

GOING = ("triggered", "started", "waiting", "paused", "waitingForApproval")
"""The states of a sequence that Keptn has not ended."""

AT_ONCE = 100
"""As many contexts have room in a URL."""

Place = tuple[str, str, str]
"""Project, context and stage."""

_LOG = logging.getLogger(__name__)


class Crew(Protocol):
    """Who drives the runs; nothing new is launched in the places that are `paused`."""

    paused: Collection[Place]

    async def accept(self, event: Event) -> str:
        """Take an event in; "new" if it was."""
        ...

    async def close(self, run_id: int) -> None:
        """Keptn no longer waits for this run."""
        ...


class Reconciler:
    """Compares what is open in Keptn with what the ledger knows of it."""

    def __init__(self, api: KeptnApi, core: Core, crew: Crew) -> None:
        self._api, self._core, self._crew = api, core, crew
        self._known: dict[str, set[str]] = {}
        self._doubted: dict[str, set[int]] = {}

    async def compare(self, types: Collection[str], *, repair: bool) -> bool:
        """Look at these types, and at those of open runs; whether anything new was taken.

        `repair` also looks after the events that are open though we answered them.

        Raises:
            Temporary: Keptn cannot be asked now.
        """
        under_way, news = rows.under_way(self._core.ledger.reader), False
        open_types = {run["type"] for run in under_way if grammar.triggered_task(run["type"])}
        for event_type in sorted(open_types.union(types)):
            waiting = {run["event_id"]: run["id"] for run in under_way if run["type"] == event_type}
            try:
                news |= await self._compare(event_type, waiting, repair=repair)
            except Refused as error:
                _LOG.warning("%s cannot be compared", event_type, extra={"cause": str(error)})
        queued = [tuple(run)[-3:] for run in under_way if run["state"] == "planned"]
        self._crew.paused = await self._held(queued)
        return news

    async def _compare(self, event_type: str, waiting: dict[str, int], *, repair: bool) -> bool:
        found = await self._api.open_events(event_type)
        listed = {one.id: one for one in reversed(found) if one.type == event_type}
        were_open = self._known.get(event_type, set())
        news = await self._accept(event_type, listed)
        for event_id in waiting.keys() - listed.keys():
            await self.check(waiting[event_id], was_open=event_id in were_open)
        if repair:
            await self._repair(event_type, listed)
        return news

    async def _accept(self, event_type: str, listed: dict[str, Event]) -> bool:
        """Take what is new, the oldest first; what Keptn holds back comes at a later look."""
        known = self._known.get(event_type, set()) & listed.keys()
        fresh = [one for one in listed.values() if one.id not in known]
        held = await self._held(map(_place, fresh))
        taken = [one for one in fresh if _place(one) not in held]
        verdicts = await asyncio.gather(*map(self._crew.accept, taken))
        self._known[event_type] = known | {one.id for one in taken}
        return "new" in verdicts

    async def _held(self, places: Iterable[Place]) -> set[Place]:
        """Where among these Keptn itself goes no further now."""
        held = set[Place]()
        for project, group in groupby(sorted(set(places)), key=itemgetter(0)):
            there = [*group]
            for part in (there[at : at + AT_ONCE] for at in range(0, len(there), AT_ONCE)):
                states = await self._states(project, {context for _, context, _ in part})
                held |= {one for one in part if _is_held(states.get(one[1], {}), one[2])}
        return held

    async def _states(self, project: str, contexts: Collection[str]) -> dict[Any, dict[str, Any]]:
        try:
            found = await self._api.states(project, contexts)
        except Refused:  # the project is gone, or this Keptn does not tell
            return {}
        return {one.get("shkeptncontext"): one for one in found}

    async def check(self, run_id: int, *, was_open: bool = True) -> None:
        """End a run that Keptn's own word on its event says is over; a silent one is not bound."""
        run = rows.run(self._core.ledger.reader, run_id)
        event, silent = parse.restore(run.event), not Plan.load(run.plan or "").answered
        if silent or await self._api.is_open(event):
            return  # a list may leave one out while others end
        if await self._goes_on(run, event, was_open=was_open):
            return
        try:
            await self._crew.close(run_id)
        except Temporary as error:  # its engine is away: that must not keep us from looking
            _LOG.warning("run %s cannot be ended yet", run_id, extra={"cause": str(error)})

    async def _goes_on(self, run: Run, event: Event, *, was_open: bool) -> bool:
        """Whether a run is to be done although its event is not open.

        It was sent by hand, to try us out; or Keptn has our `started` and goes on with the
        sequence, not past this task: then its list is wrong for a moment, or made otherwise.
        """
        try:
            found = await self._api.states(run.project, [run.context])
        except Refused:  # this Keptn does not tell
            return False
        if not found:
            return not was_open
        letters = rows.letters(self._core.ledger.reader, run.id)
        if not any(one.kind == "started" and one.state in ("sent", "done") for one in letters):
            return False
        if found[0].get("state") not in GOING:
            return False
        try:
            return not (await lookup.arrived(self._api, event, self._core.source)).complete
        except Permanent:  # nobody can tell
            return True

    async def _repair(self, event_type: str, listed: Collection[str]) -> None:
        """Have answers looked up that Keptn does not seem to have, once for each run."""
        before = self._core.clock.now() - SETTLED_SECONDS
        answered = rows.answered(self._core.ledger.reader, listed, before)
        doubtful = answered - self._doubted.get(event_type, set())
        if doubtful:
            await self._core.ledger.write(lambda db: outbox.doubt(db, doubtful))
            self._core.lifecycle.wake()
        self._doubted[event_type] = answered


def _place(event: Event) -> Place:
    return event.named("project"), event.shkeptncontext, event.named("stage")


def _is_held(state: dict[str, Any], stage: str) -> bool:
    """A pause holds up the whole run; a stage that waits for its turn, only itself."""
    overall = state.get("state")
    stages = {one.get("name"): one.get("state") for one in mappings(state.get("stages"))}
    return overall == "paused" or stages.get(stage, overall) in ("paused", "waiting")
