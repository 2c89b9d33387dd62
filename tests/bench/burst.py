"""`python -m tests.bench.burst`: many events at once, few slots; exit 1 unless all is as promised.

First 200 events within a second, each delivered three times, with 4 slots, at a strict Keptn. Then
50 tasks with one slot, whose queue takes longer than the start timeout: at the strict Keptn, and at
our own plane.
"""

import asyncio
import contextlib
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.bench import processes
from tests.bench.__main__ import DISK
from tests.bench.pushing import Pusher
from tests.captain import config
from tests.strict.client import StrictKeptn

PROJECT = "burst"
EVENTS, DELIVERIES, SLOTS = 200, 3, 4
TASKS, START_TIMEOUT, JOB_SECONDS = 50, 5.0, "0.25"
SETTLED = 2.5
"""Seconds in which an answer too many would have come."""

PATIENCE = 60.0
SHIPYARD = """apiVersion: spec.keptn.sh/0.2.4
kind: Shipyard
metadata: {name: burst}
spec: {stages: [{name: s, sequences: [{name: one, tasks: [{name: test}]}]}]}
"""
Json = dict[str, Any]


@dataclass
class Report:
    """What was seen, each with what it should be."""

    title: str
    lines: list[str] = field(default_factory=list)
    passed: bool = True

    def expect(self, what: str, found: object, *, right: bool) -> None:
        """Add one line."""
        self.lines.append(f"  {what:58} {found!s:>10}  {'ok' if right else 'WRONG'}")
        self.passed &= right

    def equal(self, what: str, found: object, wanted: object) -> None:
        """Add one line of something that has one right value."""
        self.expect(f"{what}, of {wanted}", found, right=found == wanted)


def flood(folder: Path) -> Report:
    """200 events in a second, three times each, on 4 slots: each run and answered once."""
    ran = folder / "ran"
    note = config("sh", "-c", 'echo "$ID" >> "$0"', str(ran), env=[ID])
    with StrictKeptn() as keptn, _service(folder, keptn, MAX_RUNNING=str(SLOTS)) as door:
        keptn.resource(note, PROJECT, "s", "svc")
        ids = [_trigger(keptn) for _ in range(EVENTS)]
        sent, accepted = asyncio.run(_deliver(_open_events(keptn), door))
        begin = time.monotonic()
        for triggered in ids:
            keptn.wait(triggered, seconds=PATIENCE)
        drained = time.monotonic() - begin
        time.sleep(SETTLED)
        state = keptn.state()
    report = Report(f"{EVENTS} events, each delivered {DELIVERIES} times, {SLOTS} slots")
    report.expect("seconds until all were sent, below 1", f"{sent:.2f}", right=sent < 1)
    report.expect("seconds until all were accepted, below 5", f"{accepted:.2f}", right=accepted < 5)
    runs = Counter(ran.read_text().split())
    report.equal("events that were run", len(runs), EVENTS)
    report.equal("most runs of one event", max(runs.values()), 1)
    _judge(report, state)
    report.lines.append(f"  (all answered {drained:.1f} s after the last was accepted)")
    return report


def queue_at_keptn(folder: Path) -> Report:
    """50 tasks on one slot, at the strict Keptn."""
    with StrictKeptn() as keptn, _service(folder, keptn, MAX_RUNNING="1") as door:
        keptn.resource(config("sleep", JOB_SECONDS), PROJECT, "s", "svc")
        begin = time.monotonic()
        ids = [_trigger(keptn, door=door, start_timeout=START_TIMEOUT) for _ in range(TASKS)]
        for triggered in ids:
            keptn.wait(triggered, seconds=PATIENCE)
        took = time.monotonic() - begin
        state = keptn.state()
    report = _queue_report("a strict Keptn", took)
    timed_out = sum(task["closed_by"] == "timedOut" for task in state["tasks"].values())
    report.equal("tasks that timed out", timed_out, 0)
    _judge(report, state)
    return report


def queue_at_plane(folder: Path) -> Report:
    """50 sequences of one task on one slot, at the embedded plane."""
    project, data_dir = folder / "project", folder / "data"
    project.mkdir()
    (project / "shipyard.yaml").write_text(SHIPYARD)
    (project / "jobconfig.yaml").write_text(config("sleep", JOB_SECONDS))
    settings = {"MAX_RUNNING": "1", "TASK_STARTED_WAIT_DURATION": f"{START_TIMEOUT:g}s"}
    with processes.service(data_dir, "-m", "app", "serve", str(project), **settings):
        token = (data_dir / "plane.token").read_text().strip()
        base = processes.places(data_dir)["api"]
        with httpx.Client(base_url=base, headers={"x-token": token}, trust_env=False) as api:
            begin = time.monotonic()
            for _ in range(TASKS):
                api.post("/v1/event", json=SEQUENCE).raise_for_status()
            states = _ended(api)
        took = time.monotonic() - begin
    report = _queue_report("our own plane", took)
    report.equal("sequences that timed out", states["timedOut"], 0)
    report.equal("sequences that finished", states["finished"], TASKS)
    return report


ID = {"name": "ID", "value": "$.id", "valueFrom": "event"}
SEQUENCE = {
    "specversion": "1.0",
    "source": "bench",
    "type": "sh.keptn.event.s.one.triggered",
    "data": {"project": PROJECT, "stage": "s", "service": "svc"},
}


@contextlib.contextmanager
def _service(folder: Path, keptn: StrictKeptn, **settings: str) -> Iterator[str]:
    """The door of a service that is connected to the strict Keptn."""
    api = {"KEPTN_API_ENDPOINT": keptn.api_url, "KEPTN_API_TOKEN": keptn.token}
    with processes.service(folder / "data", **api, **settings):
        yield processes.places(folder / "data")["door"]


def _trigger(keptn: StrictKeptn, **more: Any) -> str:
    return keptn.trigger(["test"], PROJECT, "s", "svc", **more)["triggeredid"]


def _open_events(keptn: StrictKeptn) -> list[Json]:
    """The triggered events as a distributor finds them."""
    reply = keptn.http.get(
        "/controlPlane/v1/event/triggered/sh.keptn.event.test.triggered",
        params={"project": PROJECT, "pageSize": str(EVENTS)},
    )
    events: list[Json] = reply.raise_for_status().json()["events"]
    return events


async def _deliver(events: list[Json], door: str) -> tuple[float, float]:
    """Seconds until every event was sent three times, all at once, and until all were accepted."""
    bodies = [json.dumps(event).encode() for event in events] * DELIVERIES
    random.Random(1).shuffle(bodies)
    pushers = [await Pusher.open(door) for _ in bodies]
    begin = time.perf_counter()
    for pusher, body in zip(pushers, bodies, strict=True):
        pusher.send(body)
    sent = time.perf_counter() - begin
    await asyncio.gather(*(pusher.accepted() for pusher in pushers))
    accepted = time.perf_counter() - begin
    for pusher in pushers:
        pusher.close()
    return sent, accepted


def _judge(report: Report, state: Json) -> None:
    """Each task started once, finished once, nothing objected to."""
    tasks = state["tasks"].values()
    for kind in ("started", "finished"):
        counts = Counter(task[kind] + task[f"ignored_{kind}"] for task in tasks)
        report.equal(f"tasks with one {kind}", counts[1], len(tasks))
    report.equal(
        "tasks completed", sum(one["closed_by"] == "completed" for one in tasks), len(tasks)
    )
    report.equal("violations", len(state["violations"]), 0)


def _queue_report(peer: str, took: float) -> Report:
    report = Report(f"{TASKS} tasks, 1 slot, start timeout {START_TIMEOUT:g} s, at {peer}")
    right = took > 2 * START_TIMEOUT
    report.expect(f"seconds for all, above {2 * START_TIMEOUT:g}", f"{took:.1f}", right=right)
    return report


def _ended(api: httpx.Client) -> Counter[str]:
    """The states of all sequences, once none goes on."""
    until = time.monotonic() + PATIENCE
    while True:
        listed = api.get(f"/controlPlane/v1/sequence/{PROJECT}", params={"pageSize": "0"}).json()
        states = Counter(one["state"] for one in listed["states"])
        if sum(states[end] for end in ("finished", "timedOut")) == TASKS:
            return states
        assert time.monotonic() < until, states
        time.sleep(0.5)


def main() -> int:
    """Print all reports; 1 if anything is not as promised."""
    with tempfile.TemporaryDirectory(prefix="firstmate-burst-", dir=DISK) as name:
        folders = [Path(name, part) for part in ("flood", "keptn", "plane")]
        for folder in folders:
            folder.mkdir()
        reports = [flood(folders[0])]
        with ThreadPoolExecutor() as both:
            queues = both.map(
                lambda work, at: work(at), (queue_at_keptn, queue_at_plane), folders[1:]
            )
            reports += queues
    for report in reports:
        print("\n".join((report.title, *report.lines)))
    return int(not all(report.passed for report in reports))


if __name__ == "__main__":
    sys.exit(main())
