"""`firstmate runs`, `logs` and `why`: reads the ledger beside a running or a stopped service."""

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from app import settings
from app.clock import Clock
from app.engines import spool
from app.engines.contract import Output
from app.errors import Permanent
from app.events import build
from app.ledger import rows, schema, store
from app.ledger.rows import Run
from app.lifecycle import KEPTN

SHOWN = 50
FOLLOW_SECONDS = 0.5
_MEANING = {
    "received": "it is on disk and will be planned as soon as Keptn can be asked",
    "planned": "the plan is pinned; the work waits for a slot",
    "running": "the work is under way",
    "answered": "the work ended, and the answer was written",
    "ignored": "nothing was sent",
    "refused": "Keptn did not want an answer from us",
}


def runs(*, ignored: bool, follow: bool, as_json: bool) -> Iterator[str]:
    """A line for each of the newest runs, oldest first, and then for each change."""
    clock, shown = Clock(), dict[int, float]()
    with open_ledger() as ledger:
        while True:
            for run in rows.recent_runs(ledger, SHOWN, ignored=ignored):
                if shown.get(run.id) != run.changed:
                    shown[run.id] = run.changed
                    yield json.dumps(_facts(run)) if as_json else _line(run)
            if not follow:
                return
            clock.pause(FOLLOW_SECONDS)


def logs(wanted: str) -> Iterator[str]:
    """The output of a run's tasks, each under a heading."""
    with open_ledger() as ledger:
        tasks = rows.tasks(ledger, find(ledger, wanted).id)
    for task in tasks:
        yield f"=== {task.name} ==="
        yield output(settings.load().data_dir, task.key).text().rstrip("\n")


def output(data_dir: Path, key: str) -> Output:
    """What is kept of a task's output."""
    return Output(*spool.read_output(str(data_dir / "jobs" / key / "output")))


def why(event_id: str, *, as_json: bool) -> str:
    """What became of an event.

    Raises:
        Permanent: it never came here.
    """
    with open_ledger() as ledger:
        if not rows.run_of_event(ledger, event_id) and (old := rows.tombstone(ledger, event_id)):
            return f"{event_id}: {old['outcome']} on {_when(old['at'])}; no more is kept of it"
        run = find(ledger, event_id)
        letters, tasks = rows.letters(ledger, run.id), rows.tasks(ledger, run.id)
    if as_json:
        told = [{**asdict(one), "body": None} for one in letters]
        return json.dumps({**_facts(run), "messages": told, "tasks": [asdict(t) for t in tasks]})
    lines = [f"{run.event_id}: {run.state}: {run.reason or _MEANING[run.state]}"]
    lines += [f"  {run.type} for {run.project}/{run.stage}/{run.service}, {_when(run.received)}"]
    lines += [f"  task {one.name}: {'ended' if one.ended else 'launched'}" for one in tasks]
    for letter in letters:
        note = f" ({letter.note})" if letter.note else ""
        lines.append(f"  {letter.kind} to {letter.destination}: {letter.state}{note}")
    if not any(letter.destination == KEPTN for letter in letters):
        lines.append("  nothing was sent to Keptn")
    return "\n".join(lines)


@contextlib.contextmanager
def open_ledger() -> Iterator[sqlite3.Connection]:
    """The ledger of DATA_DIR, for reading.

    Raises:
        Permanent: there is none, or it is of another version.
    """
    path = settings.load().data_dir / store.FILE_NAME
    if not path.exists():
        raise Permanent(f"no ledger in DATA_DIR {path.parent}: no service ever ran on it")
    with contextlib.closing(store.connect(path, read_only=True)) as ledger:
        schema.require_known(ledger)
        yield ledger


def find(ledger: sqlite3.Connection, wanted: str) -> Run:
    """The run with this number or of this event."""
    run = rows.run_of_event(ledger, wanted)
    if run is None and wanted.isdecimal():
        run = rows.run_or_none(ledger, int(wanted))
    if run is None:
        raise Permanent(f"no run {wanted!r} here: the event never came to this DATA_DIR")
    return run


def _facts(run: Run) -> dict[str, Any]:
    outcome = json.loads(run.outcome) if run.outcome else {}
    kept = ("id", "event_id", "state", "reason", "type", "context", "project", "stage", "service")
    result = {key: outcome.get(key, "") for key in ("status", "result", "message")}
    return {key: getattr(run, key) for key in kept} | {"received": _when(run.received)} | result


def _line(run: Run) -> str:
    facts = _facts(run)
    place = f"{run.project}/{run.stage}/{run.service}"
    end = run.reason or f"{facts['status']} {facts['result']}"
    return f"{run.id:>6}  {facts['received']}  {run.state:9} {run.type}  {place}  {end}".rstrip()


def _when(seconds: float) -> str:
    return build.timestamp(seconds)
