"""A source of resources in memory, which counts what it is asked and fails when told to.

It knows no cache and no rules about levels; those are what the tests are about.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from app.events.parse import Event
from app.keptn.resources import Resource
from app.tasks.image import Supplies
from app.tasks.secrets import Secrets


@dataclass
class Shelf:
    """`files` by level and name; each read waits until `open` and then raises the next fault."""

    files: dict[tuple[str, str], bytes] = field(default_factory=dict)
    version: str = "v1"
    faults: list[Exception] = field(default_factory=list)
    asked: Counter[tuple[str, ...]] = field(default_factory=Counter)
    open: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.open.set()

    async def read(
        self,
        event: Event,  # noqa: ARG002 - the protocol
        uri: str,
        level: str,
        commit: str,
    ) -> Resource | None:
        await self._answer(level, uri, commit)
        content = self.files.get((level, uri))
        return None if content is None else Resource(content, level, commit or self.version)

    async def listed(self, event: Event, level: str) -> list[str]:  # noqa: ARG002 - the protocol
        await self._answer(level)
        return [uri for place, uri in self.files if place == level]

    async def _answer(self, *question: str) -> None:
        self.asked[question] += 1
        await self.open.wait()
        if self.faults:
            raise self.faults.pop(0)


def supplies(shelf: Shelf | None = None, secrets: Path | None = None) -> Supplies:
    """What tasks may ask for: by default nothing at all."""
    return Supplies(shelf or Shelf(), Secrets(secrets))
