"""A whole service in a test's own loop, and what can be seen of it from outside.

What it is told, and what must come of it, stands in the tests.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx

from app import serving, settings
from app.clock import Clock
from app.engines.contract import Ended, Engine, Output, Work
from app.ledger import rows, store
from app.ledger.rows import Letter, Run
from app.main import Service

CLOUDEVENT = {"content-type": "application/cloudevents+json"}


class Ship:
    """One running service; `given` are its settings."""

    def __init__(
        self, data_dir: Path, clock: Clock, engine: Engine | None = None, **given: Any
    ) -> None:
        ports = {"port": 0, "ops_port": 0, "plane_port": 0, "drain_seconds": 0, "runner": "process"}
        loaded = settings.load(**{**ports, "data_dir": data_dir, **given})
        self.service = Service(loaded, clock=clock, engine=engine)
        self.door = serving.url(self.service.door)
        self.ops = serving.url(self.service.ops)
        self.http = httpx.AsyncClient(trust_env=False, verify=False)
        self._reader = store.connect(data_dir / store.FILE_NAME, read_only=True)
        self._life = asyncio.create_task(self.service.run())

    async def stop(self) -> None:
        """End it, as SIGTERM would; a second time is once too often and does nothing."""
        self.service.stop()
        await self._life
        await self.http.aclose()
        self._reader.close()

    async def post(self, event: Any) -> httpx.Response:
        """Push an event to the door."""
        return await self.http.post(self.door, json=event, headers=CLOUDEVENT)

    def run(self, event_id: str) -> Run:
        """The run of an event, as it is on disk."""
        found = rows.run_of_event(self._reader, event_id)
        assert found, f"no run for {event_id}"
        return found

    def runs(self) -> list[Run]:
        """All runs on disk, ignored ones too."""
        return rows.recent_runs(self._reader, 10_000, ignored=True)

    def letters(self, event_id: str, destination: str = "keptn") -> list[Letter]:
        """The messages of an event's run, if there is one, as they are on disk."""
        runs = [run for run in self.runs() if run.event_id == event_id]
        found = [letter for run in runs for letter in rows.letters(self._reader, run.id)]
        return [one for one in found if one.destination == destination]

    async def until(self, event_id: str, *states: str) -> Run:
        """The run, once it is in one of these states."""
        await eventually(
            lambda: any(run.event_id == event_id and run.state in states for run in self.runs())
        )
        return self.run(event_id)

    async def figures(self) -> dict[str, float]:
        """The metrics as they are now."""
        text = (await self.http.get(f"{self.ops}/metrics")).text
        lines = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, value in lines}


class InstantEngine:
    """An engine whose work has ended well before it began."""

    name = "instant"
    without_effect: frozenset[str] = frozenset()
    has_secrets = False

    def __init__(self) -> None:
        self.launched: list[str] = []

    async def launch(self, key: str, work: Work) -> Ended:  # noqa: ARG002 - the contract
        self.launched.append(key)
        return Ended(0)

    async def attach(self, key: str) -> Ended | None:  # noqa: ARG002 - the contract
        return None

    async def cancel(self, key: str) -> None:
        pass

    def logs(self, key: str) -> Output:  # noqa: ARG002 - the contract
        return Output(b"done\n", 0, b"")

    def clear(self, key: str) -> None:
        pass

    def forget(self, key: str) -> None:
        pass

    async def close(self) -> None:
        pass


async def eventually(
    holds: Callable[[], bool] | Callable[[], Awaitable[bool]], seconds: float = 10
) -> None:
    """Wait until something holds; a test that waits in vain fails here."""
    async with asyncio.timeout(seconds):
        while True:
            found = holds()
            if found is True or (not isinstance(found, bool) and await found):
                return
            await asyncio.sleep(0.01)
