"""The program `python -m tests.latency`: how long until an abort, or a new event, is heeded.

The real service with an engine that only waits, and the strict Keptn, in real time.
"""

import argparse
import asyncio
import logging
import random
import statistics
import tempfile
import time
from pathlib import Path

from app.clock import Clock
from app.engines.contract import Ended, Work
from app.naming import Place, launch_key
from tests.captain import Captain, config
from tests.conftest import connection
from tests.ship import InstantEngine, Ship, eventually
from tests.strict.client import StrictKeptn


class PatientEngine(InstantEngine):
    """An engine whose work never ends by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.cancelled: dict[str, float] = {}
        self.taken: list[float] = []
        self.gates: dict[str, asyncio.Event] = {}
        self.instant = False

    async def launch(self, key: str, work: Work) -> Ended:  # noqa: ARG002 - the contract
        self.taken.append(time.time())
        self.launched.append(key)
        if not self.instant:
            await self.gates.setdefault(key, asyncio.Event()).wait()
        return Ended(0)

    async def cancel(self, key: str) -> None:
        self.cancelled[key] = time.time()


async def aborts(ship: Ship, captain: Captain, engine: PatientEngine, number: int) -> list[float]:
    """From the abort of a running task to the end of its job."""
    door = "" if ship.service.settings.polls else ship.door
    ids = [await captain.trigger(door) for _ in range(number)]
    for event_id in ids:
        await captain.wait(event_id, "started", 30)
    chance, times = random.Random(1), {}
    for event_id in ids:
        await asyncio.sleep(chance.uniform(0, 1))
        await asyncio.to_thread(captain.keptn.abort, event_id)
        times[event_id] = time.time()
    await eventually(lambda: len(engine.cancelled) == number, 60)
    return [engine.cancelled[launch_key(one, Place(0, 0))] - times[one] for one in ids]


async def pick_ups(captain: Captain, engine: PatientEngine, number: int) -> list[float]:
    """From triggered to launched, while an event comes every second or so."""
    engine.instant, chance, delays = True, random.Random(2), []
    for _ in range(number):
        await asyncio.sleep(chance.uniform(0.2, 1.8))
        began, before = time.time(), len(engine.taken)
        event_id = await captain.trigger("")
        await eventually(lambda before=before: len(engine.taken) > before, 60)
        delays.append(engine.taken[-1] - began)
        await captain.wait(event_id)
    return delays


async def measure(keptn: StrictKeptn, way: str, number: int) -> None:
    """One transport."""
    keptn.reset()
    captain, engine = Captain(keptn), PatientEngine()
    captain.put(config("true"))
    with tempfile.TemporaryDirectory(prefix="firstmate-latency-") as folder:
        way_and_slots = {**connection(keptn, way), "max_running": number}
        ship = Ship(Path(folder), Clock(), engine, **way_and_slots)
        tell(f"abort, {way}", await aborts(ship, captain, engine, number))
        if way == "poll":
            tell("pick-up, poll", await pick_ups(captain, engine, number))
        await ship.stop()


def tell(what: str, delays: list[float]) -> None:
    """The middle and the end of a distribution."""
    cuts = statistics.quantiles(delays, n=100, method="inclusive")
    longest = max(delays)
    print(f"{what:16} p50 {cuts[49]:.2f} s  p99 {cuts[98]:.2f} s  max {longest:.2f} s")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.latency")
    parser.add_argument("--number", type=int, default=60)
    number = parser.parse_args().number
    logging.disable(logging.CRITICAL)
    with StrictKeptn() as keptn:
        for way in ("sidecar", "api", "poll"):
            asyncio.run(measure(keptn, way, number))


if __name__ == "__main__":
    main()
