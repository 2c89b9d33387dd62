"""The engine contract's yard in a cluster: the double's nodes run every pod as real processes.

What the contract asks for stands in `tests.engines.test_contract`.
"""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.clock import Clock
from app.engines.contract import Engine
from app.engines.kubernetes import names
from app.engines.kubernetes.client import Cluster
from app.engines.kubernetes.engine import KubernetesEngine
from app.engines.kubernetes.site import Site
from tests.engines.conftest import Yard
from tests.kube.machine import Machine
from tests.kube.server import Kube

NO_SUPERVISOR = "nothing of ours stands between a Job and the cluster"
UNPROMISED = {
    "test_when_the_supervisor_is_killed_a_container_goes_on_and_a_process_does_not": NO_SUPERVISOR,
    "test_the_next_service_finds_a_container_whose_supervisor_was_killed": NO_SUPERVISOR,
    "test_what_the_task_was_given_goes_and_its_output_stays": (
        "a task's files go with its pod, at the Job's time to live; for the output see"
        " tests/kube/test_engine.py"
    ),
    "test_what_was_told_of_the_end_is_there_however_it_is_asked": (
        "the cluster keeps the exit code, no file does"
    ),
}
"""The tests of the contract that mean nothing in a cluster, and why."""


class ClusterYard(Yard):
    """The engine `kubernetes` on a cluster of its own."""

    def __init__(self, folder: Path, kube: Kube) -> None:
        self._kube = kube
        self._token_file = folder.with_name("token")
        self._token_file.write_text(kube.token)
        super().__init__(folder)

    @property
    def files(self) -> Path:
        """What the pod knows as /keptn."""
        return Path(self._kube.jobs.folder.name) / names.job(self.key) / "keptn"

    def has_ended(self) -> bool:
        """Whether the Job has a condition that says so."""
        return any("conditions" in one.get("status", {}) for one in self._kube.all("jobs"))

    def restarted(self) -> Engine:
        """See `Yard.restarted`."""
        clock = Clock()
        cluster = Cluster(clock, self._kube.url, token_file=self._token_file)
        site = Site(namespaces=("jobs",), init_image="firstmate:test")
        self.engine = KubernetesEngine(cluster, clock, self.folder, site)
        return self.engine


@contextlib.asynccontextmanager
async def in_cluster(folder: Path, test: str) -> AsyncIterator[Yard]:
    """The yard for a test, which is skipped where it means nothing."""
    if why := UNPROMISED.get(test):
        pytest.skip(f"in a cluster {why}")
    async with Kube(Clock(), Machine).running() as kube:
        yard = ClusterYard(folder, kube)
        yield yard
        await yard.engine.close()
        assert not kube.refused
