"""Keeping the ledger and what Keptn has open in step, whatever the door: taken, closed, repaired.

When to look is the door's business; how a run is driven, the worker's; what of an answer is
missing, the sender's.
"""

import asyncio
from collections.abc import Collection, Iterable
from itertools import groupby
from typing import Any, Protocol

from app.core import Core
from app.errors import BadEvent
from app.events import parse
from app.events.parse import Event
from app.keptn.api import KeptnApi, mapping
from app.ledger import outbox, rows
from app.outbound import Refused

SETTLED_SECONDS = 60.0
"""How long an answered event may go on being open before the answers are looked up again."""

ASKED_AT_ONCE = 50
_HELD = ("paused", "waiting")
Scope = tuple[str, str, str]
"""Project, context and stage."""


class Crew(Protocol):
    """Who drives the runs."""

    paused: Collection[tuple[str, str]]

    async def accept(self, event: Event) -> str:
        """Take an event in; the verdict."""
        ...

    async def close(self, run_id: int) -> None:
        """Keptn no longer waits for this run."""
        ...


class Reconciler:
    """Compares what is open in Keptn with what the ledger knows of it."""

    def __init__(self, api: KeptnApi, core: Core, crew: Crew) -> None:
        self._api, self._core, self._crew = api, core, crew
        self._reader = core.ledger.reader
        self._known: dict[str, set[str]] = {}
        self._doubted: dict[str, set[int]] = {}

    async def look(self, event_type: str, *, repair: bool) -> bool:
        """Take what is new of a type, and close what is not open any more; whether there was any.

        `repair` also looks after those that are open though we answered them.

        Raises:
            FirstmateError: Keptn cannot be asked now; or, permanently, for this type.
        """
        waited_for = rows.waited_for(self._reader, event_type)
        listed = {
            one.id: one for one in _events(await self._api.open_events(event_type), event_type)
        }
        known = self._known.get(event_type, set())
        fresh = [one for one in reversed(listed.values()) if one.id not in known]
        held = await self._held((one.named("project"), *_place(one)) for one in fresh)
        taken = [one for one in fresh if _place(one) not in held]
        verdicts = await asyncio.gather(*(self._crew.accept(one) for one in taken))
        self._known[event_type] = (known & listed.keys()) | {one.id for one in taken}
        for run_id in {waited_for[one] for one in waited_for.keys() - listed.keys()}:
            await self._close(run_id)
        if repair:
            await self._repair(event_type, listed)
        return "new" in verdicts

    async def heed_pauses(self) -> None:
        """Learn which queued runs must not be launched now; raises as `look` does."""
        queued = rows.queued(self._reader)
        self._crew.paused = await self._held(
            (one.project, one.context, one.stage) for one in queued
        )

    async def _held(self, scopes: Iterable[Scope]) -> set[tuple[str, str]]:
        """The contexts and stages among these in which Keptn itself goes no further now."""
        held = set[tuple[str, str]]()
        for project, group in groupby(sorted(set(scopes)), key=lambda one: one[0]):
            places = [one[1:] for one in group]
            for start in range(0, len(places), ASKED_AT_ONCE):
                part = places[start : start + ASKED_AT_ONCE]
                states = await self._states(project, {context for context, _ in part})
                held |= {place for place in part if _is_held(states.get(place[0], {}), place[1])}
        return held

    async def _states(self, project: str, contexts: Collection[str]) -> dict[str, dict[str, Any]]:
        try:
            found = [mapping(one) for one in await self._api.states(project, contexts)]
        except Refused:  # the project is gone, or this Keptn does not tell
            return {}
        return {str(one.get("shkeptncontext")): one for one in found}

    async def _close(self, run_id: int) -> None:
        """A list may leave one out while others end: only Keptn's word on this event counts."""
        if not await self._api.is_open(parse.restore(rows.run(self._reader, run_id).event)):
            await self._crew.close(run_id)

    async def _repair(self, event_type: str, listed: Iterable[str]) -> None:
        """Have answers looked up that Keptn does not seem to have, once for each run."""
        before = self._core.clock.now() - SETTLED_SECONDS
        answered = rows.answered(self._reader, listed, before)
        doubtful = answered - self._doubted.get(event_type, set())
        self._doubted[event_type] = answered
        if doubtful:
            await self._core.ledger.write(lambda db: outbox.doubt(db, doubtful))
            self._core.lifecycle.wake()


def _events(listed: Iterable[Any], event_type: str) -> Iterable[Event]:
    for one in listed:
        try:
            event = parse.read(one)
        except BadEvent:  # nobody could answer it
            continue
        if event.type == event_type:
            yield event


def _place(event: Event) -> tuple[str, str]:
    return event.shkeptncontext, event.named("stage")


def _is_held(state: dict[str, Any], stage: str) -> bool:
    """Another stage of the same run that waits holds up only itself; a pause holds up all."""
    overall = state.get("state")
    stages = {one.get("name"): one.get("state") for one in map(mapping, state.get("stages") or ())}
    return overall == "paused" or stages.get(stage, overall) in _HELD
