"""Whole lives over HTTP, event in to `finished` out: how many a second, how long each part takes.

The Keptn is a quick one in its own process; the service is the real one, connected to it.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import uvloop

from app.events import build, parse
from app.keptn.api import Endpoint, KeptnApi
from app.keptn.resources import CONFIG_RESOURCE
from app.outbound import Outbound
from app.worker import CLOCKS_APART
from tests.bench import events
from tests.bench.processes import Program, places, service
from tests.bench.quick_keptn import Order, as_request
from tests.bench.table import Aim, Figure, percentile
from tests.captain import config

TOKEN = "bench"
IN_FLIGHT = 64
RATE_SECONDS = 5.0
WARM_UP = 1.0
JOBS = 100
JOB_SECONDS = (2.0, 4.0)
JOB_TURN = 7.0
FLOOR_SECONDS = 2.0
TELL_TIME = 'sleep "$LABELS_SECONDS"; exec date +%s.%N'
EVENT = parse.read(json.loads(events.triggered()))

Life = dict[str, float]


def measure(folder: Path) -> list[Figure]:
    """The figures of whole lives."""
    with Program("-m", "tests.bench.quick_keptn", log=folder / "keptn.log") as keptn:
        floor = uvloop.run(_floor(keptn.said))
        with _connected(folder / "instant", keptn, "-m", "tests.bench.instant") as door:
            instant = _rate(drive(keptn, Order(door, config("true"), IN_FLIGHT, RATE_SECONDS)))
        with _connected(folder / "process", keptn) as door:
            process = _rate(drive(keptn, Order(door, config("true"), IN_FLIGHT, RATE_SECONDS)))
        with _connected(folder / "jobs", keptn, MAX_RUNNING=str(JOBS)) as door:
            told = config("sh", "-c", TELL_TIME)
            lives = drive(keptn, Order(door, told, JOBS, JOB_TURN, JOB_SECONDS))
    ended = [life["finished"] - life["ended"] for life in lives]
    begun = [life["started"] - life["accepted"] for life in lives]
    borders = Aim(50), Aim(300)
    alone = "its three requests alone"
    return [
        Figure("lives, no-op engine", instant, "/s", alone, floor.rate, Aim(150, at_least=True)),
        Figure("lives, a process each", process, "/s", "no-op engine", instant, Aim(50, True)),
        *_latencies(f"job's end -> finished, {JOBS} jobs", ended, "a POST", floor.post, borders),
        *_latencies("event accepted -> started", begun, "a GET and a POST", floor.both),
    ]


def _latencies(
    name: str,
    took: list[float],
    beside: str,
    floor: list[float],
    aims: tuple[Aim | None, Aim | None] = (None, None),
) -> list[Figure]:
    """Two rows, in ms, of two lists in seconds."""
    return [
        Figure(title, percentile(took, p) * 1000, "ms", beside, percentile(floor, p) * 1000, aim)
        for title, p, aim in ((f"{name}, p50", 50, aims[0]), (f"{name}, p99", 99, aims[1]))
    ]


@contextlib.contextmanager
def _connected(data_dir: Path, keptn: Program, *arguments: str, **settings: str) -> Iterator[str]:
    """The door of a service that is connected to this Keptn."""
    api = {"KEPTN_API_ENDPOINT": f"{keptn.said}/api", "KEPTN_API_TOKEN": TOKEN}
    with service(data_dir, *arguments, KEPTN_POLL="false", **api, **settings):
        time.sleep(CLOCKS_APART)  # who is younger asks Keptn about each event first
        yield places(data_dir)["door"]


def drive(keptn: Program, order: Order) -> list[Life]:
    """Have the quick Keptn carry out an order; what came of each event."""
    reply = httpx.post(
        f"{keptn.said}/drive", content=as_request(order), timeout=90, trust_env=False
    )
    assert reply.is_success, keptn.last_words
    lives: list[Life] = reply.json()
    return lives


def _rate(lives: list[Life]) -> float:
    """Lives ended a second, while all connections were busy."""
    begin = min(life["pushed"] for life in lives) + WARM_UP
    end = max(life["pushed"] for life in lives)
    return sum(begin <= life["finished"] <= end for life in lives) / (end - begin)


@dataclass(frozen=True)
class _Floor:
    """What the requests of a life cost without the life: lives a second; seconds for each part."""

    rate: float
    post: list[float]
    both: list[float]


async def _floor(keptn: str) -> _Floor:
    """Config, started, finished by the service's own client, with nothing else around them."""
    outbound = Outbound()
    api = KeptnApi(Endpoint(f"{keptn}/api", f"{keptn}/api/v1/event", True, lambda: TOKEN), outbound)
    body = build.started(EVENT, "firstmate", time.time()).body
    post, both = [], []
    for _ in range(200):
        begin = time.perf_counter()
        await api.read(EVENT, CONFIG_RESOURCE, "service", EVENT.gitcommitid)
        middle = time.perf_counter()
        await api.send_event(body)
        both.append(time.perf_counter() - begin)
        post.append(time.perf_counter() - middle)
    until = time.perf_counter() + FLOOR_SECONDS

    async def live() -> int:
        count = 0
        while time.perf_counter() < until:
            await api.read(EVENT, CONFIG_RESOURCE, "service", EVENT.gitcommitid)
            await api.send_event(body)
            await api.send_event(body)
            count += 1
        return count

    lived = await asyncio.gather(*(live() for _ in range(IN_FLIGHT)))
    await outbound.close()
    return _Floor(sum(lived) / FLOOR_SECONDS, post, both)
