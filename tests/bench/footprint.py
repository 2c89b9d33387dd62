"""What the idle service costs: memory, and the time to be ready; beside its bare libraries."""

import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.bench import processes
from tests.bench.processes import Program
from tests.bench.table import Aim, Figure

STARTS = 7
SETTLED = 0.3
"""Seconds after which a service that nobody asks for anything is idle."""

READY, MEMORY = Aim(0.6), Aim(70)
INSTALLED = "import sys; sys.modules['rich'] = None; "
"""As users install it: httpx loads rich where it finds it, which only our tools bring along."""

SERVE = "from app.cli import main; main()"
LIBRARIES = "import fastapi, httptools, httpx, uvicorn, uvloop; print('imported', flush=True)"
PAUSE = "; import signal; signal.pause()"
CONNECTED = {"KEPTN_API_ENDPOINT": "http://127.0.0.1:9/api", "KEPTN_API_TOKEN": "none"}
SHIPYARD = """apiVersion: spec.keptn.sh/0.2.4
kind: Shipyard
metadata: {name: bench}
spec: {stages: [{name: s, sequences: [{name: one, tasks: [{name: test}]}]}]}
"""


@dataclass(frozen=True)
class Start:
    """One start: seconds until it was ready, and MB when it was idle."""

    seconds: float
    megabytes: float


def measure(folder: Path) -> list[Figure]:
    """The figures of the idle service."""
    project = folder / "project"
    project.mkdir()
    (project / "shipyard.yaml").write_text(SHIPYARD)

    def starts(kind: str, settings: dict[str, str]) -> Start:
        folders = [folder / f"{kind} {turn}" for turn in range(STARTS)]
        return _median([_start(one, project, settings) for one in folders])

    bare = _median([_import(folder / "libraries.log") for _ in range(STARTS)])
    kinds = {"with its plane": starts("alone", {}), "connected": starts("connected", CONNECTED)}
    return [
        figure
        for kind, start in kinds.items()
        for figure in (
            _figure(f"exec -> ready, {kind}", "s", start, bare, READY),
            _figure(f"memory, idle, {kind}", "MB", start, bare, MEMORY),
        )
    ]


def _figure(name: str, unit: str, start: Start, bare: Start, aim: Aim) -> Figure:
    value, baseline = (one.seconds if unit == "s" else one.megabytes for one in (start, bare))
    return Figure(name, value, unit, "its libraries, imported", baseline, aim)


def _median(starts: list[Start]) -> Start:
    seconds, megabytes = (
        median(getattr(one, field) for one in starts) for field in ("seconds", "megabytes")
    )
    return Start(seconds, megabytes)


def _import(log: Path) -> Start:
    begin = time.perf_counter()
    with Program("-c", INSTALLED + LIBRARIES + PAUSE, log=log) as program:
        return Start(time.perf_counter() - begin, program.resident_mb)


def _start(data_dir: Path, project: Path, settings: dict[str, str]) -> Start:
    """A service's first start on a new data folder."""
    begin = time.perf_counter()
    command = "-c", INSTALLED + SERVE, "serve", str(project)
    with processes.service(data_dir, *command, **settings) as program:
        processes.await_ready(data_dir)
        seconds = time.perf_counter() - begin
        time.sleep(SETTLED)
        return Start(seconds, program.resident_mb)
