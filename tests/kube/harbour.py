"""The engine on a double of a cluster, as a service has it, also after a restart."""

import asyncio
import uuid
from pathlib import Path
from typing import Any

from app.engines.contract import Ended
from app.engines.kubernetes.client import Cluster
from app.engines.kubernetes.engine import KubernetesEngine
from app.engines.kubernetes.site import Site
from tests import works
from tests.clocks import FastClock
from tests.kube.plays import Play
from tests.kube.server import Kube

SITE = Site(namespaces=("jobs", "other"), init_image="firstmate:test")

PLANTED = "planted-secret-of-a-user"


class Harbour:
    """A cluster, and `engine`, the one of the running service."""

    def __init__(self, kube: Kube, folder: Path, clock: FastClock, site: Site = SITE) -> None:
        self.kube = kube
        self.folder = folder
        self.clock = clock
        self.site = site
        self.key = uuid.uuid4().hex
        self.token_file = folder / "token"
        self.token_file.write_text(kube.token + "\n")
        self.engine = self._engine()

    def _engine(self) -> KubernetesEngine:
        cluster = Cluster(self.clock, self.kube.url, token_file=self.token_file)
        return KubernetesEngine(cluster, self.clock, self.folder / "jobs", self.site)

    async def restart(self) -> None:
        """The service ends, and another one begins."""
        await self.engine.close()
        self.engine = self._engine()

    async def run(self, play: Play | None = None, key: str = "", **more: Any) -> Ended:
        """Launch work whose pod fares as told, and wait for its end."""
        key = key or self.key
        if play:
            self.kube.play(more.setdefault("image", f"image-{key}"), play)
        given = {"image": "alpine", "secrets": ("planted",), "deadline": 300.0}
        return await self.engine.launch(key, works.work(**{**given, **more}))

    def begin(self, play: Play | None = None, key: str = "", **more: Any) -> "asyncio.Task[Ended]":
        """Launch and go on."""
        return asyncio.create_task(self.run(play, key, **more))

    def text(self, key: str = "") -> str:
        """What a job has printed."""
        return self.engine.logs(key or self.key).text()

    def job(self, number: int = -1) -> Any:
        """The Job that was asked for last."""
        return [one for one in self.kube.bodies if one["kind"] == "Job"][number]

    def is_running(self, key: str = "") -> bool:
        """Whether the engine knows that its container runs."""
        flight = self.engine._flights.get(key or self.key)
        return bool(flight and flight.record.pod and flight.record.pod.started)
