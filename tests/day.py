"""The program `python -m tests.day`: a day at a Keptn that is polled, with all that can go wrong.

The real service and the strict Keptn, on clocks that run `--speed` times as fast as a real one.
"""

import argparse
import asyncio
import logging
import os
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from app.events.build import seconds
from tests.captain import Captain, config
from tests.clocks import FastClock
from tests.conftest import connection
from tests.notices.receiver import Receiver, receiving
from tests.ship import InstantEngine, Ship
from tests.strict.client import StrictKeptn

DAY = 86_400.0
FAULTS = ("401", "403", "429", "500", "503", "drop_request", "accept_drop_reply", "garbage")
PLACES = ("any", "event", "triggered", "sequence", "datastore", "resource", "project")
ROUTES = """
apiVersion: firstmate/v1
channels: [{name: chat, kind: cloudevent, urlFrom: {env: DAY_CHAT}}]
routes: [{events: [sh.keptn.event.s.delivery.finished], channels: [chat]}]
"""


@dataclass(frozen=True)
class Plan:
    """How much happens in the day; `speed` is by how much its seconds are shorter."""

    events: int = 10_000
    outages: int = 200
    restarts: int = 50
    steps: int = 20
    duplicates: int = 500
    aborts: int = 100
    speed: float = 100.0
    hours: float = 24.0
    quiet_hours: float = 1.0
    seed: int = 1


@dataclass
class Tally:
    """What came of it; times in the day's own seconds."""

    answered_once: int = 0
    lost: int = 0
    lost_because: Counter[str] = field(default_factory=Counter)
    doubled: int = 0
    launched_twice: int = 0
    aborted: int = 0
    notices_wanted: int = 0
    notices_lost: int = 0
    notices_doubled: int = 0
    violations: int = 0
    pick_up_p50: float = 0.0
    pick_up_p99: float = 0.0
    quiet_calls_an_hour: float = 0.0

    @property
    def flawless(self) -> bool:
        """Nothing was lost or doubled."""
        return not (self.lost or self.doubled or self.launched_twice or self.notices_lost)


class Day:
    """One project, one service after the other on the same disk."""

    def __init__(self, plan: Plan, keptn: StrictKeptn, clock: FastClock, folder: Path) -> None:
        self._plan, self._keptn, self._clock, self._folder = plan, keptn, clock, folder
        self._captain, self._engine = Captain(keptn), InstantEngine()
        self._captain.put(config("true", task="work"))
        (folder / "routes.yaml").write_text(ROUTES)
        self._chance = random.Random(plan.seed)
        self._ids: list[str] = []
        self._aborted: set[str] = set()
        self._ship = self._start()

    async def run(self, chat: Receiver) -> Tally:
        """Live through it, wait until all is quiet, and count."""
        plan = self._plan
        deeds = [self._trigger] * plan.events + [self._outage] * plan.outages
        deeds += [self._restart] * plan.restarts + [self._step] * plan.steps
        deeds += [self._duplicate] * plan.duplicates + [self._abort] * plan.aborts
        self._chance.shuffle(deeds)
        began, real = time.monotonic(), plan.hours * 3600 / plan.speed
        for number, deed in enumerate(deeds):
            await asyncio.sleep(began + real * number / len(deeds) - time.monotonic())
            await deed()
        self._captain.keptn.clear_faults()
        await self._settle(chat)
        tally = self._count(chat)
        tally.quiet_calls_an_hour = await self._quiet()
        await self._ship.stop()
        return tally

    def _start(self) -> Ship:
        routes = {"routes_file": self._folder / "routes.yaml", "log_level": "ERROR"}
        way = connection(self._keptn, "poll")
        return Ship(self._folder / "data", self._clock, self._engine, **routes, **way)

    async def _trigger(self) -> None:
        self._ids.append(await self._captain.trigger("", "work"))

    async def _outage(self) -> None:
        """Some seconds, or minutes, of the day without Keptn, or with one that misbehaves."""
        length = self._chance.choice((2, 20, 120, 600)) / self._plan.speed
        if self._chance.random() < 0.3:
            await asyncio.to_thread(self._keptn.refuse, length)
            return
        rule = {"mode": self._chance.choice(FAULTS), "where": self._chance.choice(PLACES)}
        times = self._chance.randint(1, 40)
        await asyncio.to_thread(self._keptn.faults, {**rule, "times": times, "seconds": 0.1})

    async def _restart(self) -> None:
        await self._ship.stop()
        await asyncio.sleep(self._chance.choice((1, 30, 900)) / self._plan.speed)
        self._ship = self._start()

    async def _step(self) -> None:
        """The machine's clock is set wrong, or right again."""
        self._clock._skipped = self._chance.choice((0.0, 0.0, 3600.0, -3600.0, 90.0, -90.0))

    async def _duplicate(self) -> None:
        """An event is pushed to the door, too, perhaps again."""
        if self._ids:
            path = "/controlPlane/v1/event/triggered/sh.keptn.event.work.triggered"
            query = {"eventID": self._chance.choice(self._ids[-20:])}
            try:
                found = await self._ship.http.get(self._keptn.sidecar_url + path, params=query)
                for event in found.json()["events"]:
                    await self._ship.post(event)
            except Exception:  # an outage: then nobody pushes
                return

    async def _abort(self) -> None:
        await self._trigger()
        await asyncio.to_thread(self._keptn.abort, self._ids[-1])
        self._aborted.add(self._ids[-1])

    async def _settle(self, chat: Receiver) -> None:
        until = time.monotonic() + 60 + 3600 / self._plan.speed
        while time.monotonic() < until:
            tasks = (await self._state())["tasks"]
            told = {one["shkeptncontext"] for one in chat.bodies}
            if all(not one["open"] and one["context"] in told for one in tasks.values()):
                break
            await asyncio.sleep(1)
        await asyncio.sleep(300 / self._plan.speed)  # for what should not come

    async def _quiet(self) -> float:
        """Calls in an hour in which nothing happens, five minutes after the last thing did."""
        self._clock._skipped = 0.0
        before = sum((await self._state())["requests"].values())
        await asyncio.sleep(self._plan.quiet_hours * 3600 / self._plan.speed)
        asked = sum((await self._state())["requests"].values()) - before
        return float(round(asked / self._plan.quiet_hours, 1))

    async def _state(self) -> dict[str, Any]:
        return await asyncio.to_thread(self._keptn.state)

    def _fate(self, event_id: str) -> str:
        """How far an event came that was not answered."""
        runs = {run.event_id: run for run in self._ship.runs()}
        run = runs.get(event_id)
        letters = [(one.kind, one.state, one.note) for one in self._ship.letters(event_id)]
        return f"{run.state} {run.reason} {letters}"[:160] if run else "never seen"

    def _count(self, chat: Receiver) -> Tally:
        state, tally = self._keptn.state(), Tally()
        delays = []
        for event_id, task in state["tasks"].items():
            counts = (task["started"] + task["ignored_started"], task["finished"])
            if event_id in self._aborted and task["closed_by"] == "aborted":
                tally.aborted += 1
            elif task["open"]:
                tally.lost += 1
                tally.lost_because[self._fate(event_id)] += 1
            elif counts == (1, 1):
                tally.answered_once += 1
                delays.append(_delay(task))
            else:
                tally.doubled += 1
        told = Counter(one["id"] for one in chat.bodies)
        contexts = {one["shkeptncontext"] for one in chat.bodies}
        wanted = {task["context"] for task in state["tasks"].values()}
        tally.notices_wanted, tally.notices_lost = len(wanted), len(wanted - contexts)
        tally.notices_doubled = sum(told.values()) - len(told)
        launched = Counter(self._engine.launched)
        tally.launched_twice = sum(launched.values()) - len(launched)
        tally.violations = len(state["violations"])
        cuts = statistics.quantiles([0.0, 0.0, *delays], n=100)
        tally.pick_up_p50, tally.pick_up_p99 = round(cuts[49], 2), round(cuts[98], 2)
        return tally


def _delay(task: dict[str, Any]) -> float:
    """From triggered to started, outages and restarts included."""
    started = next(one["event"] for one in task["events"] if one["kind"] == "started")
    since, until = seconds(task["triggered"]) or 0.0, seconds(started["time"]) or 0.0
    return until - since


async def live(plan: Plan) -> Tally:
    """The whole day."""
    clock = FastClock(plan.speed)
    fast = (clock._origin, plan.speed)
    with (
        tempfile.TemporaryDirectory(prefix="firstmate-day-") as folder,
        receiving() as chat,
        StrictKeptn(pace=0.05, fast=fast) as keptn,
    ):
        os.environ["DAY_CHAT"] = chat.url
        return await Day(plan, keptn, clock, Path(folder)).run(chat)


def main() -> int:
    """Read the command line, print the tally; 1 when anything was lost or doubled."""
    parser = argparse.ArgumentParser(prog="python -m tests.day")
    for name, value in asdict(Plan()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    plan = Plan(**vars(parser.parse_args()))
    logging.disable(logging.CRITICAL)
    tally = asyncio.run(live(plan))
    for name, value in asdict(tally).items():
        print(f"{name:22} {value}")
    return int(not tally.flawless)


if __name__ == "__main__":
    sys.exit(main())
