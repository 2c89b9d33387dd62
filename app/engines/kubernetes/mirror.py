"""A namespace as it was last seen: our Jobs, their pods, and the files on the shelf.

What follows from it for a launch is decided elsewhere.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from app.engines.kubernetes import names, sight
from app.engines.kubernetes.client import Cluster
from app.engines.kubernetes.port import Expired, Kind, Object, Rejected, Where
from app.engines.kubernetes.shelf import Shelf
from app.engines.kubernetes.sight import JobSight, PodSight
from app.errors import Temporary

SWEEP_SECONDS = 3600.0
POLL_SECONDS = 600.0
"""After so long all is listed again, should the watch have missed something unnoticed."""

SHORTEST_WATCH = 1.0

Sight = JobSight | PodSight
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Record:
    """A Job and its pod; `changed` is set whenever one of them is seen anew.

    `waiting` counts those for whom it is kept.
    """

    waiting: int = 0
    job: JobSight | None = None
    pod: PodSight | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class Watch:
    """Tells of every object that has a launch key, each change in order, and of those gone."""

    cluster: Cluster
    where: Where
    deliver: Callable[[Sight], None]
    synced: asyncio.Event = field(default_factory=asyncio.Event)
    _known: dict[str, Sight] = field(default_factory=dict)
    _version: str = ""
    _listed_at: float = 0.0
    _failures: int = 0

    async def run(self) -> None:
        """Go on for ever: list, then follow; after a break go on, after two list again."""
        clock = self.cluster.clock
        while True:
            try:
                if not self._version or clock.tick() > self._listed_at + POLL_SECONDS:
                    await self._list()
                await self._follow()
            except (Temporary, Rejected) as error:
                self._failures += 1
                if self._failures > 1 or isinstance(error, Expired):
                    self._version = ""
                if self._failures % 20 == 2:  # noqa: PLR2004 - the second, and seldom again
                    _log.warning("cannot watch %s: %s", self.where.kind.name, error)
                await clock.sleep(max(error.after or 0, clock.backoff(self._failures)))

    async def _list(self) -> None:
        """See all there is; what was known before and is not among it is gone."""
        missing, version = dict(self._known), ""
        async for page in self.cluster.pages(self.where):
            version = page["metadata"]["resourceVersion"]
            for found in page["items"]:
                missing.pop(found["metadata"]["name"], None)
                self._see(found)
        for name in missing:
            self.deliver(replace(self._known.pop(name), gone=True))
        self._version, self._listed_at = version, self.cluster.clock.tick()
        self.synced.set()

    async def _follow(self) -> None:
        begun = self.cluster.clock.tick()
        async with contextlib.aclosing(self.cluster.watch(self.where, self._version)) as changes:
            async for change in changes:
                if change["type"] != "BOOKMARK":
                    self._see(change["object"], gone=change["type"] == "DELETED")
                self._version = change["object"]["metadata"]["resourceVersion"]
                self._failures = 0
        if self.cluster.clock.tick() < begun + SHORTEST_WATCH:
            raise Temporary("the watch ends as soon as it begins")
        self._failures = 0

    def _see(self, found: Object, *, gone: bool = False) -> None:
        name = found["metadata"]["name"]
        try:
            seen = sight.job(found) if self.where.kind is Kind.JOB else sight.pod(found)
        except (LookupError, TypeError, ValueError):  # one odd object must not make us blind
            _log.exception("cannot read %s %s", self.where.kind.name, name)
            return
        self._known[name] = seen
        if gone:
            seen = replace(self._known.pop(name), gone=True)
        self.deliver(seen)


class Mirror:
    """Two watches, of Jobs and of pods, and a record for each launch key."""

    def __init__(self, cluster: Cluster, namespace: str, managed_by: str) -> None:
        self.namespace = namespace
        self.records: dict[str, Record] = {}
        self.shelf = Shelf(cluster, namespace, managed_by)
        self._clock = cluster.clock
        labels = {names.MANAGED_BY: managed_by, names.KEY: ""}
        self._watches = [
            Watch(cluster, Where(kind, namespace, labels), self._see)
            for kind in (Kind.JOB, Kind.POD)
        ]
        endless = [self._sweep(), *(watch.run() for watch in self._watches)]
        self._tasks = [asyncio.create_task(one, name=f"mirror {namespace}") for one in endless]

    def close(self) -> None:
        """Look no more."""
        for task in self._tasks:
            task.cancel()

    def blind(self) -> list[asyncio.Event]:
        """The watches that have not seen yet what there is; each event is set when it has."""
        return [watch.synced for watch in self._watches if not watch.synced.is_set()]

    def _see(self, seen: Sight) -> None:
        record = self.records.setdefault(seen.key, Record())
        if isinstance(seen, JobSight):
            record.job = seen
        else:
            record.pod = seen
        record.changed.set()
        self.tidy(seen.key)

    def tidy(self, key: str) -> None:
        """Forget what is gone and waited for by nobody."""
        record = self.records[key]
        if not record.waiting and all(one is None or one.gone for one in (record.job, record.pod)):
            del self.records[key]

    async def _sweep(self) -> None:
        """Every hour, for the Jobs that are there know which files they use."""
        while True:
            await self._clock.sleep(SWEEP_SECONDS)
            in_use = {record.job.files for record in self.records.values() if record.job}
            with contextlib.suppress(Temporary, Rejected):  # the next hour will do
                await self.shelf.sweep(in_use)
