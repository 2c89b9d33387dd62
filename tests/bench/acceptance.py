"""How many events a second are accepted durably, beside the same route that keeps nothing."""

import json
import shutil
import subprocess
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.bench import events
from tests.bench.processes import ROOT, Program
from tests.bench.table import Aim, Figure

CONNECTIONS = 64
SECONDS = 1
TURNS = 4
"""The two routes take turns, so that what else the machine does falls on both."""

BESIDE = "same route, no store"
GENERATOR_ROOM = 1.5
"""A generator that is not so much faster than the baseline measures itself."""


@dataclass(frozen=True)
class Load:
    """What one turn measured: events a second, milliseconds to the reply."""

    rate: float
    p50: float
    p99: float
    failed: int = 0


def measure(folder: Path) -> list[Figure]:
    """The figures of the door."""
    generator = "wrk" if shutil.which("wrk") else "raw sockets"
    with _door("bare", folder) as bare:
        ceiling = load(bare.said, folder, SECONDS).rate
    with _door("no-store", folder) as without, _door("durable", folder) as durable:
        doors = without.said, durable.said
        turns = [[load(door, folder, SECONDS) for door in doors] for _ in range(TURNS + 1)][1:]
    plain, stored = (_typical(loads) for loads in zip(*turns, strict=True))
    note = "generator-bound" if ceiling < GENERATOR_ROOM * plain.rate else ""
    rate = f"durable accepts, {CONNECTIONS} connections", stored.rate, "/s", BESIDE, plain.rate
    return [
        Figure(f"generator's ceiling ({generator}, bare ASGI route)", ceiling, "/s"),
        Figure(*rate, Aim(0.5, at_least=True, of_ratio=True), note),
        Figure("event -> 202, p50", stored.p50, "ms", BESIDE, plain.p50),
        Figure("event -> 202, p99", stored.p99, "ms", BESIDE, plain.p99),
    ]


def load(door: str, folder: Path, seconds: int) -> Load:
    """Push fresh events from all connections for so long, from a process of its own."""
    prefix = uuid.uuid4().hex[:12]
    if shutil.which("wrk"):
        request = folder / "request"
        request.write_bytes(events.request(events.triggered()))
        script = str(Path(__file__).with_name("fresh_ids.lua"))
        threads = ["-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", script]
        command = ["wrk", *threads, door, "--", str(request), prefix]
    else:
        module = [sys.executable, "-m", "tests.bench.generator"]
        command = [*module, door, str(CONNECTIONS), str(seconds), prefix]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    measured = Load(**json.loads(done.stdout.splitlines()[-1]))
    assert not measured.failed, f"{measured.failed} events were not accepted"
    return measured


def _door(kind: str, folder: Path) -> Program:
    data = folder / kind
    data.mkdir()
    return Program("-m", "tests.bench.doors", kind, str(data), log=folder / f"{kind}.log")


def _typical(loads: Sequence[Load]) -> Load:
    """The median of each figure."""
    return Load(
        rate=median(one.rate for one in loads),
        p50=median(one.p50 for one in loads),
        p99=median(one.p99 for one in loads),
    )
