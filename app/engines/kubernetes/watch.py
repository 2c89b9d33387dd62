"""One shared look at the objects of a kind, kept current; nothing here knows what they mean."""

import asyncio
import contextlib
import logging
from collections.abc import Callable

from app.clock import Clock
from app.engines.kubernetes import names
from app.engines.kubernetes.client import Cluster
from app.engines.kubernetes.port import Expired, Object, Rejected, Where
from app.errors import Temporary

POLL_SECONDS = 600.0
"""After so long all is listed again, should the watch have missed something unnoticed."""

SHORTEST_WATCH, LONGEST_PAUSE = 1.0, 15.0
_log = logging.getLogger(__name__)


class Watch:
    """Tells of every object that has a launch key, each change in order, and of those gone.

    `deliver` gets the launch key's ident, the object unless it went unseen, and `gone=`.
    """

    def __init__(
        self, cluster: Cluster, clock: Clock, where: Where, deliver: Callable[..., None]
    ) -> None:
        self._cluster = cluster
        self._clock = clock
        self._where = where
        self._deliver = deliver
        self._known: dict[str, str] = {}
        self._version = ""
        self._listed_at = 0.0
        self._failures = 0
        self.synced = asyncio.Event()

    async def run(self) -> None:
        """Go on for ever: list, then follow; after a break go on, after two list again."""
        while True:
            try:
                if not self._version or self._clock.tick() > self._listed_at + POLL_SECONDS:
                    await self._list()
                await self._follow()
            except (Temporary, Rejected) as error:
                self._failures += 1
                if self._failures > 1 or isinstance(error, Expired):
                    self._version = ""
                if self._failures % 20 == 2:  # noqa: PLR2004 - the second, and seldom again
                    _log.warning("cannot watch %s: %s", self._where.kind.name, error)
                pause = min(LONGEST_PAUSE, 0.1 * 2 ** min(self._failures, 9)) * self._clock.jitter()
                await self._clock.sleep(max(getattr(error, "after", None) or 0.0, pause))

    async def _list(self) -> None:
        """See all there is; what was known before and is not among it is gone."""
        missing, version = dict(self._known), ""
        async for page in self._cluster.pages(self._where):
            version = page["metadata"]["resourceVersion"]
            for found in page["items"]:
                missing.pop(found["metadata"]["name"], None)
                self._see(found)
        for name, ident in missing.items():
            del self._known[name]
            self._deliver(ident, None, gone=True)
        self._version, self._listed_at = version, self._clock.tick()
        self.synced.set()

    async def _follow(self) -> None:
        begun = self._clock.tick()
        async with contextlib.aclosing(self._cluster.watch(self._where, self._version)) as changes:
            async for change in changes:
                if change["type"] != "BOOKMARK":
                    self._see(change["object"], gone=change["type"] == "DELETED")
                self._version = change["object"]["metadata"]["resourceVersion"]
                self._failures = 0
        if self._clock.tick() < begun + SHORTEST_WATCH:
            raise Temporary("the watch ends as soon as it begins")
        self._failures = 0

    def _see(self, found: Object, *, gone: bool = False) -> None:
        name, ident = found["metadata"]["name"], found["metadata"]["labels"][names.KEY]
        self._known[name] = ident
        if gone:
            del self._known[name]
        try:
            self._deliver(ident, found, gone=gone)
        except (LookupError, TypeError, ValueError):  # one odd object must not make us blind
            _log.exception("cannot read %s %s", self._where.kind.name, name)
