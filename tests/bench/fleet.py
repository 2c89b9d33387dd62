"""Very many Jobs in flight from one engine: what they take of memory and of the processor.

Also how often a service with nothing to do asks the cluster. The cluster is the tests' double.
"""

import asyncio
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.clock import Clock
from app.engines.contract import Work
from app.engines.kubernetes.client import Cluster
from app.engines.kubernetes.engine import KubernetesEngine
from app.engines.kubernetes.site import Site
from app.jobconfig.schema import Task
from tests.bench.table import Aim, Figure
from tests.clocks import FastClock
from tests.kube.client import KubeHost, RemoteKube
from tests.kube.server import Kube

IN_FLIGHT = 10_000
SITE = Site(namespaces=("jobs",), init_image="firstmate:bench")
QUIET = 10.0
IDLE_MINUTES, SPEED = 20, 100.0


def measure(folder: Path) -> list[Figure]:
    """The figures of many Jobs, and of none."""
    with KubeHost() as host:
        cluster = host.cluster(validating=False)
        cluster.order("play", image="long", seconds=80_000)
        figures = asyncio.run(_fleet(folder, cluster))
    return [*figures, asyncio.run(_idle(folder))]


async def _fleet(folder: Path, cluster: RemoteKube) -> list[Figure]:
    engine = _engine(folder, cluster.url, cluster.token, Clock())
    before, begun, used = _resident(), time.monotonic(), time.process_time()
    jobs = [asyncio.create_task(engine.launch(f"job-{n}", _work())) for n in range(IN_FLIGHT)]
    while _running(engine) < IN_FLIGHT:  # noqa: ASYNC110 - the engine has no event for it
        await asyncio.sleep(1)
    launched, cost = time.monotonic() - begun, time.process_time() - used
    with _processor() as quiet:
        await asyncio.sleep(QUIET)
    memory = _resident() - before
    for job in jobs:
        job.cancel()
    await asyncio.gather(*jobs, return_exceptions=True)
    await engine.close()
    name = f"{IN_FLIGHT:,} Jobs in flight"
    return [
        Figure(f"{name}: memory", memory / 2**20, "MB", note=f"{memory / IN_FLIGHT:,.0f} B each"),
        Figure(f"{name}: launching them", launched, "s", note=f"{cost:.0f} s of processor"),
        Figure(f"{name}: processor while quiet", quiet[0] / QUIET * 100, "%"),
    ]


async def _idle(folder: Path) -> Figure:
    clock = FastClock(SPEED)
    async with Kube(clock).running() as kube:
        engine = _engine(folder, kube.url, kube.token, clock)
        await engine.launch("first", _work())
        before = kube.calls.total()
        await clock.sleep(IDLE_MINUTES * 60)
        calls = kube.calls.total() - before
        await engine.close()
    note = f"{IDLE_MINUTES} minutes, played {SPEED:g} times as fast"
    return Figure("API calls a minute when idle", calls / IDLE_MINUTES, "", aim=Aim(1), note=note)


def _engine(folder: Path, url: str, token: str, clock: Clock) -> KubernetesEngine:
    (folder / "token").write_text(token)
    cluster = Cluster(clock, url, token_file=folder / "token")
    return KubernetesEngine(cluster, clock, folder / "jobs", SITE)


def _running(engine: KubernetesEngine) -> int:
    """How many Jobs the engine knows to run."""
    records = [one for mirror in engine._mirrors.values() for one in mirror.records.values()]
    return sum(bool(one.pod and one.pod.started) for one in records)


def _work() -> Work:
    return Work(Task(image="long", cmd=("true",)), {"A": "1"}, 86400.0)


@contextmanager
def _processor() -> Iterator[list[float]]:
    """How many seconds of the processor were used meanwhile."""
    used = time.process_time()
    seconds: list[float] = []
    yield seconds
    seconds.append(time.process_time() - used)


def _resident() -> int:
    """Bytes now; the peak would count what is long gone."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
