"""The embedded control plane: sequences a minute, and what a long history costs.

The plane is in a process of its own; who answers its tasks is here, and does no work.
"""

import asyncio
import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.plane.store import Store
from tests.bench.processes import Program
from tests.bench.table import Aim, Figure
from tests.plane.keptn import TOKEN, Client, Json

SHIPYARD = """apiVersion: spec.keptn.sh/0.2.4
metadata: {name: bookshop}
spec:
  stages: [{name: dev, sequences: [{name: go, tasks: [{name: a}, {name: b}, {name: c}]}]}]
"""
SEQUENCES, AT_ONCE = 300, 16
EVENTS, OF_A_RUN = 1_000_000, 11
SCOPE = {"project": "bookshop", "stage": "dev", "service": "basket"}
ENDED = "sh.keptn.event.dev.go.finished"


def measure(folder: Path) -> list[Figure]:
    """The figures of the plane."""
    rate = asyncio.run(_rate(folder / "rate"))
    empty, full = _start(folder / "empty", 0), _start(folder / "full", EVENTS)
    beside = "an empty history"
    return [
        Figure("sequences of 3 tasks on the plane", rate, "/min", aim=Aim(1000, at_least=True)),
        *(
            Figure(f"{name}, 1,000,000 events", held, unit, beside, none)
            for name, unit, held, none in zip(
                ("plane's start", "plane's memory", "list of open events", "page of events"),
                ("s", "MB", "ms", "ms"),
                full,
                empty,
                strict=True,
            )
        ),
    ]


class _Answerer:
    """Takes every event; answers a task with started and finished, and counts ended sequences."""

    def __init__(self) -> None:
        self.keptn: Client
        self.ended = 0
        self._ended_one = asyncio.Event()

    async def accept(self, request: Request) -> Response:
        event = json.loads(await request.body())
        if event["type"] == ENDED:
            self.ended += 1
            self._ended_one.set()
            return Response(status_code=202)
        return Response(status_code=202, background=BackgroundTask(self._answer, event))

    async def until(self, ended: int) -> None:
        """Wait until so many sequences have ended."""
        while self.ended < ended:
            self._ended_one.clear()
            await self._ended_one.wait()

    async def _answer(self, task: Json) -> None:
        await self.keptn.answer(task, "started")
        await self.keptn.answer(task, "finished", result="pass", status="succeeded")


async def _rate(folder: Path) -> float:
    """Sequences a minute, each on a service of its own, so many at once."""
    answerer = _Answerer()
    app = Starlette(routes=[Route("/", answerer.accept, methods=["POST"])])
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    door = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
    with _host(folder, door) as program:
        async with _http(program) as http:
            answerer.keptn = Client(http)
            begin = time.perf_counter()
            for number in range(SEQUENCES):
                await answerer.until(number - AT_ONCE)
                await answerer.keptn.trigger("dev.go", service=f"s{number}")
            await answerer.until(SEQUENCES)
            took = time.perf_counter() - begin
    server.should_exit = True
    await serving
    return SEQUENCES / took * 60


def _start(folder: Path, events: int) -> tuple[float, float, float, float]:
    """Seconds to be there, MB, and ms of the two look-ups that clients ask for most."""
    _fill(folder, events)
    begin = time.perf_counter()
    with _host(folder, "http://127.0.0.1:9") as program:
        seconds = time.perf_counter() - begin
        look_ups = asyncio.run(_look_ups(program))
        return seconds, program.resident_mb, *look_ups


async def _look_ups(program: Program) -> tuple[float, float]:
    opened = "/api/controlPlane/v1/event/triggered/sh.keptn.event.a.triggered"
    took = []
    async with _http(program) as http:
        for path in (opened, "/api/mongodb-datastore/event"):
            await http.get(path, params={"project": "bookshop"})
            begin = time.perf_counter()
            await http.get(path, params={"project": "bookshop"})
            took.append((time.perf_counter() - begin) * 1000)
    return took[0], took[1]


def _host(folder: Path, door: str) -> Program:
    shop = folder / "shop"
    shop.mkdir(parents=True, exist_ok=True)
    (shop / "shipyard.yaml").write_text(SHIPYARD)
    return Program("-m", "tests.plane.host", str(shop), door, log=folder / "plane.log")


def _http(program: Program) -> httpx.AsyncClient:
    base = f"http://127.0.0.1:{program.said}"
    return httpx.AsyncClient(base_url=base, headers={"x-token": TOKEN}, trust_env=False)


def _fill(folder: Path, events: int) -> None:
    """A history of ended runs, written past the plane, which would take its time."""
    (folder / "data").mkdir(parents=True)
    path = folder / "data" / "plane.db"
    Store(path).close()
    database = sqlite3.connect(path)
    database.execute("PRAGMA synchronous = OFF")
    for table, rows in (("events", _events(events)), ("executions", _executions(events))):
        insert = f"INSERT INTO {table} (body, phase) VALUES (?, 'closed')"
        database.executemany(insert, ((json.dumps(row),) for row in rows))
    database.commit()
    database.close()


def _events(number: int) -> Iterator[Json]:
    now = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
    kinds = [f"{task}.{kind}" for task in "abc" for kind in ("triggered", "started", "finished")]
    for index in range(number):
        kind = [*kinds, "dev.go.triggered", "dev.go.finished"][index % OF_A_RUN]
        yield {
            "id": f"event-{index:032}",
            "type": f"sh.keptn.event.{kind}",
            "source": "shipyard-controller",
            "time": now,
            "specversion": "1.0",
            "shkeptncontext": f"context-{index // OF_A_RUN:029}",
            "triggeredid": f"event-{index - 1:032}",
            "data": {**SCOPE, "result": "pass", "status": "succeeded", "message": "done " * 20},
        }


def _executions(events: int) -> Iterator[Json]:
    for index in range(events // OF_A_RUN):
        context = f"context-{index:029}"
        yield {
            "_id": f"execution-{index}",
            "sequence": {"name": "go"},
            "status": {"state": "finished", "previousTasks": [], "currentTask": {}},
            "scope": {**SCOPE, "keptnContext": context},
            "triggeredAt": "2026-01-01T00:00:00.000Z",
        }
