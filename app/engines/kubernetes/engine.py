"""The engine itself: launches, waits, puts down; how anything looks in Kubernetes is said beside.

Each launch is waited for by the coroutine that asked for it, which a watch wakes: none polls.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from app import boundaries
from app.clock import Clock
from app.engines.contract import Ended, Output, Work
from app.engines.kubernetes.client import Cluster
from app.engines.kubernetes.manifest import BACKSTOP_SECONDS
from app.engines.kubernetes.mirror import Mirror, Record
from app.engines.kubernetes.output import Outputs
from app.engines.kubernetes.pilot import Flight, Pilot
from app.engines.kubernetes.site import Site
from app.errors import Permanent

HEED_SECONDS = 1.0
BLIND_SECONDS = 2.0
"""How long one namespace that cannot be seen keeps a search from looking at the others again."""


class KubernetesEngine:
    """Runs work as Jobs of a cluster; needs a running loop."""

    name = "kubernetes"
    without_effect: frozenset[str] = frozenset()
    has_secrets = True

    def __init__(self, cluster: Cluster, clock: Clock, folder: Path, site: Site) -> None:
        self._cluster, self._clock, self._site = cluster, clock, site
        self._outputs = Outputs(folder, cluster)
        self._mirrors: dict[str, Mirror] = {}
        self._flights: dict[str, Flight] = {}
        self._unwanted: set[str] = set()
        self._heeding = asyncio.create_task(self._heed(), name="logs -f")
        self._pilot = Pilot(cluster, site, self._outputs)

    async def launch(self, key: str, work: Work) -> Ended:
        """See `Engine.launch`."""
        name = work.task.namespace or self._site.namespaces[0]
        if name not in self._site.namespaces:
            known = ", ".join(self._site.namespaces)
            raise Permanent(f"namespace {name!r}: Jobs are made in {known} only; see JOB_NAMESPACE")
        async with self._boarded(key, name, work.deadline) as flight:
            if flight.ended is None:
                await self._pilot.create(flight, work, self._mirror(name).shelf)
            return await self._pilot.see_out(flight)

    async def attach(self, key: str) -> Ended | None:
        """See `Engine.attach`."""
        found = await self._find(key)
        if found is None:
            self._unwanted.discard(key)
            return None
        boundaries.reached("job found")
        namespace, left = found
        async with self._boarded(key, namespace, left) as flight:
            return await self._pilot.see_out(flight)

    async def cancel(self, key: str) -> None:
        """See `Engine.cancel`; what is still looked for is ended when it is found."""
        self._unwanted.add(key)
        if flight := self._flights.get(key):
            flight.cancelled = True
            flight.record.changed.set()

    def logs(self, key: str) -> Output:
        """See `Engine.logs`; while it runs, asking is what makes its log be followed."""
        flight = self._flights.get(key)
        if flight and flight.record.pod and flight.record.pod.started and not flight.ended:
            self._outputs.follow(key, flight.namespace, flight.record.pod.name)
        return self._outputs.read(key)

    def clear(self, key: str) -> None:
        """See `Engine.clear`: its files go with its pod."""

    def forget(self, key: str) -> None:
        """See `Engine.forget`: its Job goes at its time to live."""
        self._outputs.forget(key)

    async def close(self) -> None:
        """See `Engine.close`."""
        self._heeding.cancel()
        for mirror in self._mirrors.values():
            mirror.close()
        await self._outputs.close()
        await self._cluster.close()

    @asynccontextmanager
    async def _boarded(self, key: str, name: str, seconds: float) -> AsyncIterator[Flight]:
        """The flight of a launch key; who asks a second time waits for the same one."""
        mirror, now = self._mirror(name), self._clock.tick()
        record = mirror.records.setdefault(key, Record())
        record.waiting += 1
        new = Flight(key, name, record, self._site.graces, begun=now, ends_at=now + seconds)
        flight = self._flights.setdefault(key, new)
        flight.cancelled |= key in self._unwanted
        try:
            async with flight.lock:
                yield flight
        finally:
            record.waiting -= 1
            if not record.waiting:
                del self._flights[key]
                self._unwanted.discard(key)
                mirror.tidy(key)

    def _mirror(self, name: str) -> Mirror:
        """What is shared by all Jobs of a namespace, begun with the first of them."""
        if name not in self._mirrors:
            self._mirrors[name] = Mirror(self._cluster, name, self._site.managed_by)
        return self._mirrors[name]

    async def _find(self, key: str) -> tuple[str, float] | None:
        """The namespace of a Job and the seconds left to it; None is only said when all is seen."""
        mirrors = [self._mirror(name) for name in self._site.namespaces]
        while True:
            for mirror in mirrors:
                record = mirror.records.get(key)
                if record and record.job:
                    ends_at = record.job.ends_at - BACKSTOP_SECONDS
                    return mirror.namespace, max(0.0, ends_at - self._clock.now())
            blind = [event for mirror in mirrors for event in mirror.blind()]
            if not blind:
                return None
            await self._clock.wait(blind[0], BLIND_SECONDS)

    async def _heed(self) -> None:
        """Follow what `firstmate logs -f`, another process, asks for."""
        while True:
            await self._clock.sleep(HEED_SECONDS)
            for key in self._outputs.asked():
                self.logs(key)
