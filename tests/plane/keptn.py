"""A plane over a folder, and a client that speaks to it as an executor would."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx

from app.clock import Clock
from app.plane.house import Plane, PlaneSettings

Json = dict[str, Any]
T = TypeVar("T")
TOKEN = "token"
SHIPYARD = """
apiVersion: spec.keptn.sh/0.2.4
kind: Shipyard
metadata: {name: bookshop}
spec:
  stages:
  - name: dev
    sequences:
    - name: delivery
      tasks:
      - {name: deployment, properties: {deploymentstrategy: direct, replicas: 3}}
      - {name: test}
    - name: rollback
      triggeredOn:
      - event: dev.delivery.finished
        selector: {match: {result: fail}}
      tasks:
      - name: rollback
    - name: later
      tasks:
      - {name: test, triggeredAfter: 1h30m}
  - name: prod
    sequences:
    - name: delivery
      triggeredOn:
      - event: dev.delivery.finished
      tasks:
      - name: release
"""


class VirtualClock(Clock):
    """Time passes when a test says so; whoever sleeps wakes when his moment has come."""

    def __init__(self) -> None:
        self.time = 1_700_000_000.0
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        awake = asyncio.Event()
        self._sleepers.append((self.time + seconds, awake))
        await awake.wait()

    async def wait(self, event: asyncio.Event, seconds: float | None) -> None:
        both: list[asyncio.Task[Any]] = [asyncio.create_task(event.wait())]
        both += [] if seconds is None else [asyncio.create_task(self.sleep(seconds))]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()

    def pass_by(self, seconds: float) -> None:
        self.time += seconds
        for moment, awake in self._sleepers:
            if moment <= self.time:
                awake.set()


class Client:
    """Keptn's API, as an executor uses it."""

    def __init__(self, http: httpx.AsyncClient, project: str = "bookshop") -> None:
        self.http = http
        self.project = project

    async def get(self, path: str, **query: Any) -> Json:
        answer = await self.http.get(path, params=query)
        assert answer.status_code == 200, answer.text
        document: Json = answer.json()
        return document

    async def post(self, event: Json) -> str:
        answer = await self.http.post("/api/v1/event", json=event)
        assert answer.status_code == 200, answer.text
        context: str = answer.json()["keptnContext"]
        return context

    async def trigger(self, sequence: str = "dev.delivery", **data: Any) -> str:
        """Trigger a sequence on the service `basket`, if no other is given; returns its context."""
        stage = sequence.partition(".")[0]
        scope = {"project": self.project, "stage": stage, "service": "basket"}
        kind = f"sh.keptn.event.{sequence}.triggered"
        return await self.post({"type": kind, "source": "me", "data": {**scope, **data}})

    async def open(self, task: str) -> list[Json]:
        kind = f"sh.keptn.event.{task}.triggered"
        listed = await self.get(f"/api/controlPlane/v1/event/triggered/{kind}")
        events: list[Json] = listed["events"]
        return events

    async def answer(self, task: Json, kind: str, source: str = "me", **data: Any) -> None:
        scope = {key: task["data"][key] for key in ("project", "stage", "service")}
        await self.post(
            {
                "type": task["type"].replace("triggered", kind),
                "source": source,
                "shkeptncontext": task["shkeptncontext"],
                "triggeredid": task["id"],
                "data": {**scope, **data},
            }
        )

    async def do(
        self, name: str, result: str = "pass", status: str = "succeeded", **data: Any
    ) -> Json:
        """Start and finish the one open task of this name; returns its triggered event."""
        (task,) = await self.open(name)
        await self.answer(task, "started")
        await self.answer(task, "finished", result=result, status=status, **data)
        return task

    async def events(self, context: str, **query: Any) -> list[Json]:
        """Oldest first."""
        listed = await self.get(
            "/api/mongodb-datastore/event", keptnContext=context, pageSize=100, **query
        )
        return list(reversed(listed["events"]))

    async def chain(self, context: str) -> list[str]:
        events = await self.events(context)
        return [event["type"].removeprefix("sh.keptn.event.") for event in events]

    async def ended(self, context: str, sequence: str = "dev.delivery") -> Json:
        """The data of the event that ended a sequence."""
        (event,) = await self.events(context, type=f"sh.keptn.event.{sequence}.finished")
        data: Json = event["data"]
        return data

    async def state(self, context: str) -> str:
        listed = await self.get(
            f"/api/controlPlane/v1/sequence/{self.project}", keptnContext=context
        )
        state: str = listed["states"][0]["state"]
        return state

    async def execution(self, context: str, **query: Any) -> Json:
        path = "/api/controlPlane/v1/sequence-execution"
        listed = await self.get(path, project=self.project, keptnContext=context, **query)
        execution: Json = listed["sequenceExecutions"][0]
        return execution


def settings(folder: Path, **changed: Any) -> PlaneSettings:
    """Settings for a plane over `folder`, whose data lie beside it."""
    data = folder.parent / "data"
    data.mkdir(exist_ok=True)
    given: Json = {"project": "", "token": TOKEN, "door_url": "http://127.0.0.1:9", **changed}
    return PlaneSettings(folder=folder, data_dir=data, **given)


def client_of(plane: Plane) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(plane.app)
    headers = {"x-token": TOKEN}
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers)


@asynccontextmanager
async def running(plane: Plane) -> AsyncIterator[None]:
    """Deliveries and timers, until the block ends."""
    task = asyncio.create_task(plane.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def eventually(ask: Callable[[], Awaitable[T]], is_it: Callable[[T], bool] = bool) -> T:
    """Ask until the answer is as expected; fails after ten real seconds."""
    deadline = time.monotonic() + 10
    while not is_it(found := await ask()):
        assert time.monotonic() < deadline, f"still {found!r}"
        await asyncio.sleep(0.01)
    return found
