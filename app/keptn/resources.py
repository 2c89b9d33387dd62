"""The files of Keptn projects by level and commit; each is asked for once and remembered.

Where they come from is a `Source`'s business; what a file says or is for is nobody's here.
"""

import asyncio
import math
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar, cast

from app.clock import Clock
from app.errors import Permanent, Temporary
from app.events.parse import Event
from app.patience import PATIENCE_SECONDS, Ask, insist

CONFIG_RESOURCE = "job/config.yaml"
_NAMES = ("project", "stage", "service")
SCOPES = {"service": _NAMES, "stage": _NAMES[:2], "project": _NAMES[:1]}
"""The levels in the order in which they are looked through, each with what names it."""

FRESH_SECONDS = 10.0
"""How old an answer may be that does not belong to a commit, for the event that asked for it."""

SHARED_SECONDS = 2.0
"""And a project's own file for other events, if these have a commit: foreign ones cost little."""

MEMORY_BYTES = 32 * 1024 * 1024
LARGEST_BYTES = MEMORY_BYTES // 8
"""A larger file is not remembered: it would push out what many events share."""

ENTRY_BYTES = 512
"""About what an entry takes beside its content; a "not there" takes as much."""

Found = TypeVar("Found")
Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Resource:
    """A file of a Keptn project, the level it was found on, and its version there."""

    content: bytes
    level: str
    version: str

    @property
    def text(self) -> str:
        """The content; a byte that is no UTF-8 becomes a character that no text has."""
        return self.content.decode(errors="surrogateescape")


def is_revision(commit: str) -> bool:
    """Whether this names one content for ever, as `main` does not, which Keptn's Git takes too."""
    return re.fullmatch("[0-9a-f]{7,64}", commit) is not None


class Source(Protocol):
    """Whoever has the files of an event's project, stage and service."""

    async def read(self, event: Event, uri: str, level: str, commit: str) -> Resource | None:
        """A file of one level at a commit, or without one as it is now; None if it is not there.

        Raises:
            Temporary: whether it is there cannot be told now.
            Permanent: this cannot be asked for.
        """
        ...

    async def listed(self, event: Event, level: str) -> list[str]:
        """The names of a level's files, now or at the event's commit; raises as `read` does."""
        ...


@dataclass
class Resources:
    """A source that remembers what another one said; several askers share one request.

    Up to so many bytes are kept; what nobody asked for the longest goes first. `count` is told of
    each request whether it was `asked` or `remembered`; `shared` is SHARED_SECONDS, or 0 for none.
    """

    source: Source
    clock: Clock
    count: Callable[[str], None] = lambda _: None
    shared: float = SHARED_SECONDS
    _kept: OrderedDict[Key, "_Kept"] = field(default_factory=OrderedDict)
    _size: int = 0
    _asking: dict[Key, asyncio.Task[Any]] = field(default_factory=dict)

    async def read(self, event: Event, uri: str, level: str, commit: str) -> Resource | None:
        """See `Source.read`; the commit is of a stage's branch, a project's own files have none."""
        pin = "" if level == "project" else commit
        lasting = is_revision(pin)
        who, seconds = event.id, FRESH_SECONDS
        if lasting or (not pin and commit and self.shared):
            who, seconds = "", math.inf if lasting else self.shared
        key = ("file", who, *_scope(event, level), pin, uri)
        return await self._recall(key, seconds, lambda: self.source.read(event, uri, level, pin))

    async def listed(self, event: Event, level: str) -> list[str]:
        """See `Source.listed`; an event that adds a file, and is sent then, must find it there."""
        key = ("list", event.id, *_scope(event, level))
        return await self._recall(key, FRESH_SECONDS, lambda: self.source.listed(event, level))

    async def _recall(self, key: Key, seconds: float, ask: Ask[Found]) -> Found:
        """What is remembered, else what is being asked for, else what is asked for now."""
        kept = self._kept.get(key)
        if kept and kept.until > self.clock.tick():
            self.count("remembered")
            self._kept.move_to_end(key)
            return cast("Found", kept.value)
        if key not in self._asking:
            self._asking[key] = task = asyncio.create_task(self._ask(key, seconds, ask))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
        # An asker that gives up must not take the answer from the others.
        return await asyncio.shield(self._asking[key])

    async def _ask(self, key: Key, seconds: float, ask: Ask[Found]) -> Found:
        until = self.clock.tick() + seconds
        self.count("asked")
        try:
            found = await ask()
        finally:
            del self._asking[key]
        content = found.content if isinstance(found, Resource) else repr(found)
        self._keep(key, _Kept(found, until, ENTRY_BYTES + len(content)))
        return found

    def _keep(self, key: Key, kept: "_Kept") -> None:
        if kept.size <= LARGEST_BYTES:
            old = self._kept.pop(key, None)
            self._size += kept.size - (old.size if old else 0)
            self._kept[key] = kept
        while self._size > MEMORY_BYTES:
            self._size -= self._kept.popitem(last=False)[1].size


@dataclass(frozen=True)
class Patient:
    """A source that goes on asking another one while that cannot tell."""

    source: Source
    clock: Clock

    async def read(self, event: Event, uri: str, level: str, commit: str) -> Resource | None:
        """See `Source.read`; Permanent after nine minutes."""
        return await self._insist(lambda: self.source.read(event, uri, level, commit))

    async def listed(self, event: Event, level: str) -> list[str]:
        """See `Source.listed`; Permanent after nine minutes."""
        return await self._insist(lambda: self.source.listed(event, level))

    async def _insist(self, ask: Ask[Found]) -> Found:
        try:
            return await insist(ask, self.clock, PATIENCE_SECONDS)
        except Temporary as error:
            raise Permanent(f"asked for {PATIENCE_SECONDS:.0f} s: {error}") from None


class _Kept(NamedTuple):
    value: Any
    until: float
    size: int


def _scope(event: Event, level: str) -> Key:
    return tuple(event.named(name) for name in SCOPES[level])
