"""Figures of the kubernetes engine against the double, which runs in a process of its own.

`python -m tests.kube.bench [in flight] [for memory]`; 500 and 10,000 unless told otherwise.
"""

import asyncio
import contextlib
import multiprocessing
import random
import resource
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

from app.clock import Clock
from app.engines.contract import Ended, Work
from app.engines.kubernetes.client import Cluster
from app.engines.kubernetes.engine import KubernetesEngine
from app.engines.kubernetes.flight import Patience
from app.engines.kubernetes.port import Access
from app.engines.kubernetes.site import Site
from tests.kube.plays import Life, Play
from tests.kube.server import TOKEN, Kube
from tests.kube.store import Object
from tests.ship import eventually

SITE = Site(namespaces=("jobs",), init_image="firstmate:bench")
POD_START = 0.5


def serve(pipe: Connection) -> None:
    """The double: an image `x/SECONDS` runs so long and leaves the moment of its end."""

    async def run() -> None:
        kube = Kube(Clock())
        kube.validating = False
        begin, terminated = kube.jobs.begin, kube.jobs._terminated

        def play(job: Object) -> None:
            image = job["spec"]["template"]["spec"]["containers"][0]["image"]
            seconds = float(image.partition("/")[2])
            kube.play(image, Play(starts_in=POD_START, seconds=seconds, condition_after=1.0))
            begin(job)

        def stamp(life: Life, code: int, reason: str, message: str) -> None:
            terminated(life, code, reason, message or str(time.monotonic()))

        kube.jobs.begin, kube.jobs._terminated = play, stamp  # type: ignore[method-assign]
        async with kube.running():
            pipe.send(kube.url)
            while await asyncio.to_thread(pipe.recv) == "calls":
                pipe.send(kube.calls)

    asyncio.run(run())


async def launch(engine: KubernetesEngine, key: str, seconds: float) -> tuple[Ended, float]:
    """One Job, and how long after its end we knew."""
    work = Work(f"x/{seconds:.3f}", ("true",), (), {"A": "1"}, "", 86400.0)
    ended = await engine.launch(key, work)
    return ended, time.monotonic() - float(ended.result or 0)


async def latency(engine: KubernetesEngine, count: int) -> None:
    """All in flight at once; they end within ten seconds of each other."""
    rng = random.Random(1)
    jobs = [launch(engine, f"latency-{n}", 5 + 10 * rng.random()) for n in range(count)]
    late = sorted(one[1] for one in await asyncio.gather(*jobs))
    print(
        f"end of the container -> Ended, {count} in flight: "
        f"p50 {late[count // 2] * 1000:.0f} ms, p99 {late[int(count * 0.99)] * 1000:.0f} ms, "
        f"max {late[-1] * 1000:.0f} ms"
    )


async def sequence(engine: KubernetesEngine) -> None:
    """Four trivial tasks, one after the other."""
    begun = time.monotonic()
    for number in range(4):
        await launch(engine, f"sequence-{number}", 0)
    print(f"4 tasks in turn: {time.monotonic() - begun:.2f} s, their pods start in {4 * POD_START}")


async def memory(engine: KubernetesEngine, count: int) -> None:
    """Many in flight: what they take of memory and, while nothing happens, of the processor."""
    before, begun, used = _rss(), time.monotonic(), time.process_time()
    jobs = [asyncio.create_task(launch(engine, f"memory-{n}", 80_000)) for n in range(count)]
    records = engine._mirrors["jobs"].records
    await eventually(
        lambda: sum(bool(one.pod and one.pod.started) for one in records.values()) >= count, 300
    )
    print(
        f"{count} in flight: {(_rss() - before) / 1024:.0f} MiB more "
        f"({(_rss() - before) / count:.1f} KiB each), launched in "
        f"{time.monotonic() - begun:.0f} s with {time.process_time() - used:.0f} s of CPU"
    )
    used = time.process_time()
    await asyncio.sleep(10)
    print(f"{count} in flight: {(time.process_time() - used) * 10:.1f} % of a processor when quiet")
    for job in jobs:
        job.cancel()
    await asyncio.gather(*jobs, return_exceptions=True)


def _rss() -> int:
    """KiB now; the peak would count what is long gone."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 1024


async def main(in_flight: int, for_memory: int, pipe: Connection) -> None:
    """All figures."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "token").write_text(TOKEN)
        access = Access(pipe.recv(), token_file=folder / "token")
        clock = Clock()
        engine = KubernetesEngine(Cluster(access, clock), clock, folder / "jobs", SITE, Patience())
        await sequence(engine)
        pipe.send("calls")
        before = pipe.recv()
        await latency(engine, in_flight)
        pipe.send("calls")
        made = pipe.recv() - before
        print(f"calls for each Job: {made.total() / in_flight:.2f} ({dict(made)})")
        if for_memory:
            await memory(engine, for_memory)
        await engine.close()
        pipe.send("end")


if __name__ == "__main__":
    figures = [int(one) for one in sys.argv[1:]]
    ours, theirs = multiprocessing.Pipe()
    double = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    double.start()
    with contextlib.suppress(KeyboardInterrupt):
        in_flight, for_memory = [*figures, *(500, 10_000)[len(figures) :]]
        asyncio.run(main(in_flight, for_memory, ours))
    double.join(5)
