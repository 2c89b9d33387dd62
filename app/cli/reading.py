"""`firstmate runs`, `logs` and `why`: reads the ledger beside a running or a stopped service."""

import contextlib
import json
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from app import masking, settings
from app.cli.words import Words
from app.clock import Clock
from app.engines import spool
from app.engines.contract import Output
from app.errors import Permanent
from app.events.build import timestamp
from app.ledger import rows, schema, store
from app.ledger.rows import Run, TaskRow
from app.lifecycle import KEPTN
from app.results import whole_lines

commands = Words("reading")
SHOWN = 50
FOLLOW_SECONDS = 0.5
OPEN = ("received", "planned", "running")
"""The states in which a run may still print something."""

_MEANING = {
    "received": "it is on disk and will be planned as soon as Keptn can be asked",
    "planned": "the plan is pinned; the work waits for a slot",
    "running": "the work is under way",
    "answered": "the work ended",
    "ignored": "nothing was sent",
    "refused": "Keptn did not want an answer from us",
}


@commands.word("runs [--ignored] [--follow] [--json]")
def runs(*, ignored: bool, follow: bool, as_json: bool) -> Iterator[str]:
    """List the newest runs of DATA_DIR, beside a running or a stopped service."""
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


@commands.word("logs RUN [--follow]")
def logs(run: str, *, follow: bool = False) -> Iterator[str]:
    """Print the output of RUN, masked: a run's number or its event's id."""
    given, clock = settings.load(), Clock()
    wanted_logs = given.data_dir / "jobs" / spool.WANTED
    masks, seen = masking.read(given.mask_patterns_file), dict[str, int]()
    with open_ledger() as ledger:
        run_id = find(ledger, run).id
        while True:
            now = rows.run_or_none(ledger, run_id)
            over = not follow or now is None or now.state not in OPEN
            for task in rows.tasks(ledger, run_id):
                if not over and not task.ended and wanted_logs.is_dir():
                    (wanted_logs / task.key).touch()
                kept = output(given.data_dir, task.key)
                for text in unseen(task, kept, seen, ended=bool(over or task.ended)):
                    yield masks.text(text)
            if over:
                return
            clock.pause(FOLLOW_SECONDS)


def unseen(task: TaskRow, output: Output, seen: dict[str, int], *, ended: bool) -> Iterator[str]:
    """What an attempt printed since the last look, the first time under a heading.

    `seen` has the bytes seen of each attempt, by its key, and is kept up to date.
    """
    if task.key not in seen:
        yield f"=== {_titled(task)} ==="
    text, seen[task.key] = news(output, seen.get(task.key, 0), ended=ended)
    if text:
        yield text.removesuffix("\n")


def news(output: Output, seen: int, *, ended: bool) -> tuple[str, int]:
    """What was printed after the first `seen` bytes, and how many bytes are seen then.

    Half a line is left for the next time, unless the output has ended.
    """
    kept = whole_lines(output)
    begin = kept.total - len(kept.tail)
    missed = max(0, begin - max(seen, len(kept.head)))
    marker = f"[... {missed} bytes cut ...]\n".encode() if missed else b""
    fresh = kept.head[seen:] + marker + kept.tail[max(0, seen - begin) :]
    end = len(fresh) if ended else fresh.rfind(b"\n") + 1
    return fresh[:end].decode(errors="replace"), kept.total - len(fresh) + end


def output(data_dir: Path, key: str) -> Output:
    """What is kept of a task's output."""
    return Output(*spool.read_output(str(data_dir / "jobs" / key / "output")))


@commands.word("why EVENT_ID [--json]")
def why(event_id: str, *, as_json: bool) -> str:
    """Tell what became of an event, and why."""
    with open_ledger() as ledger:
        if not rows.run_of_event(ledger, event_id) and (old := rows.tombstone(ledger, event_id)):
            return f"{event_id}: {old['outcome']} on {timestamp(old['at'])}; no more is kept of it"
        run = find(ledger, event_id)
        letters, tasks = rows.letters(ledger, run.id), rows.tasks(ledger, run.id)
    if as_json:
        messages = [{**asdict(one), "body": None} for one in letters]
        told = {"messages": messages, "tasks": [asdict(one) for one in tasks]}
        return json.dumps(_facts(run) | told)
    lines = [f"{run.event_id}: {run.state}: {run.reason or _MEANING[run.state]}"]
    lines.append(f"  {run.type} for {_place(run)}, {timestamp(run.received)}")
    if run.outcome and not tasks:
        lines.append(f"  nothing was launched: {json.loads(run.outcome)['message']}")
    elif run.outcome:
        lines.append("  it came to {status} {result}".format_map(json.loads(run.outcome)))
    for task in tasks:
        words = json.loads(task.outcome or "{}").get("message", "").partition("\n")[0]
        lines.append(f"  task {_titled(task)}: {words or ('ended' if task.ended else 'launched')}")
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
        schema.require_current(ledger)
        yield ledger


def find(ledger: sqlite3.Connection, wanted: str) -> Run:
    """The run with this number or of this event."""
    run = rows.run_of_event(ledger, wanted)
    if run is None and re.fullmatch("[0-9]{1,18}", wanted):
        run = rows.run_or_none(ledger, int(wanted))
    if run is None:
        raise Permanent(f"no run {wanted!r} here: the event never came to this DATA_DIR")
    return run


def _titled(task: TaskRow) -> str:
    return f"{task.name} (attempt {task.attempt + 1})" if task.attempt else task.name


def _place(run: Run) -> str:
    return f"{run.project}/{run.stage}/{run.service}"


def _facts(run: Run) -> dict[str, Any]:
    outcome = json.loads(run.outcome) if run.outcome else {}
    kept = ("id", "event_id", "state", "reason", "type", "context", "project", "stage", "service")
    result = {key: outcome.get(key, "") for key in ("status", "result", "message")}
    facts = {key: getattr(run, key) for key in kept}
    return {**facts, **result, "received": timestamp(run.received)}


def _line(run: Run) -> str:
    facts = _facts(run)
    end = run.reason or f"{facts['status']} {facts['result']}"
    what = f"{run.state:9} {run.type}  {_place(run)}  {end}"
    return f"{run.id:>6}  {facts['received']}  {what}".rstrip()
