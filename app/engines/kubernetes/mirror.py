"""A namespace as it was last seen: our Jobs, their pods, and the files on the shelf.

What follows from it for a launch is decided elsewhere.
"""

import asyncio
import contextlib
from dataclasses import dataclass, field, replace
from functools import partial

from app.clock import Clock
from app.engines.kubernetes import names, sight
from app.engines.kubernetes.client import Cluster
from app.engines.kubernetes.port import Kind, Object, Rejected, Where
from app.engines.kubernetes.shelf import Shelf
from app.engines.kubernetes.sight import JobSight, PodSight
from app.engines.kubernetes.watch import Watch
from app.errors import Temporary

SWEEP_SECONDS = 3600.0


@dataclass(slots=True)
class Record:
    """A Job and its pod; `changed` is set whenever one of them is seen anew.

    While `held`, somebody waits for it.
    """

    held: bool = False
    job: JobSight | None = None
    pod: PodSight | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class Mirror:
    """Two watches, of Jobs and of pods, and a record for each launch key's ident."""

    def __init__(self, cluster: Cluster, clock: Clock, namespace: str, managed_by: str) -> None:
        self.namespace = namespace
        self.records: dict[str, Record] = {}
        self.shelf = Shelf(cluster, clock, namespace, managed_by)
        self._clock = clock
        labels = names.selector({names.MANAGED_BY: managed_by, names.KEY: ""})
        self._watches = [
            Watch(cluster, clock, Where(kind, namespace, labels), partial(self._see, kind))
            for kind in (Kind.JOB, Kind.POD)
        ]
        endless = [self._sweep(), *(watch.run() for watch in self._watches)]
        self._tasks = [asyncio.create_task(one, name=f"mirror {namespace}") for one in endless]

    def close(self) -> None:
        """Look no more."""
        for task in self._tasks:
            task.cancel()

    def hold(self, ident: str) -> Record:
        """The record of a launch key, kept until it is let go."""
        record = self.records.setdefault(ident, Record())
        record.held = True
        return record

    def let_go(self, ident: str) -> None:
        """Nobody waits for it any more."""
        self.records[ident].held = False
        self._tidy(ident)

    def blind(self) -> list[asyncio.Event]:
        """The watches that have not seen yet what there is; each event is set when it has."""
        return [watch.synced for watch in self._watches if not watch.synced.is_set()]

    def _see(self, kind: Kind, ident: str, found: Object | None, *, gone: bool) -> None:
        record = self.records.setdefault(ident, Record())
        if kind is Kind.JOB:
            record.job = sight.job(found) if found else record.job
            record.job = record.job and replace(record.job, gone=gone)
        else:
            record.pod = sight.pod(found) if found else record.pod
            record.pod = record.pod and replace(record.pod, gone=gone)
        record.changed.set()
        self._tidy(ident)

    def _tidy(self, ident: str) -> None:
        record = self.records[ident]
        if not record.held and all(one is None or one.gone for one in (record.job, record.pod)):
            del self.records[ident]

    async def _sweep(self) -> None:
        """Every hour, for the Jobs that are there know which files they use."""
        while True:
            await self._clock.sleep(SWEEP_SECONDS)
            in_use = {record.job.files for record in self.records.values() if record.job}
            with contextlib.suppress(Temporary, Rejected):  # the next hour will do
                await self.shelf.sweep(in_use)
