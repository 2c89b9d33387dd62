"""The ledger's rows as frozen values, and the questions that others ask about them.

Reading only; every change is a transition in `app.lifecycle` or a step of a message in `outbox`.
"""

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from app.naming import Place

Reader = sqlite3.Connection
Row = TypeVar("Row", "Run", "TaskRow", "Letter")
_DUE = "iif(due > ?2 + 3600, ?2, due)"
"""When a message is due at the time ?2; far in the future, if somebody has set the clock back."""

OPEN = "state IN ('ready', 'sending', 'sent')"
"""Of messages: those with which something is still to be done."""


@dataclass(frozen=True, slots=True)
class Run:
    """One triggered event that we took, and how far it came. Times are seconds since the epoch.

    `happened` is the event's own time, `owed` how many `finished` a started run must end with.
    """

    id: int
    event_id: str
    state: str
    reason: str
    type: str
    context: str
    project: str
    stage: str
    service: str
    event: str
    happened: float
    received: float
    changed: float
    plan: str | None
    outcome: str | None
    owed: int


@dataclass(frozen=True, slots=True)
class TaskRow:
    """One attempt at a task of a run: launched, or about to be."""

    run: int
    action: int
    task: int
    attempt: int
    key: str
    name: str
    launched: float
    ended: float | None
    outcome: str | None

    @property
    def place(self) -> Place:
        """Where it stands in the job config."""
        return Place(self.action, self.task, self.attempt)


@dataclass(frozen=True, slots=True)
class Letter:
    """One outgoing message.

    Its states: ready (never sent, or known not to have arrived) -> sending (may have arrived) ->
    sent (accepted, not confirmed) -> done; or refused, or dropped. A notice is ready, then done or
    dead, and `due` then tells whether its channel has heard of that.
    """

    id: int
    run: int
    destination: str
    kind: str
    body: str
    state: str
    attempts: int
    due: float
    written: float
    sent: float | None
    note: str


def run(reader: Reader, run_id: int) -> Run:
    """The run with this number, which exists."""
    return _read(reader, Run, "SELECT * FROM runs WHERE id = ?", run_id)[0]


def run_or_none(reader: Reader, run_id: int) -> Run | None:
    """The run with this number, if it is (still) kept."""
    return next(iter(_read(reader, Run, "SELECT * FROM runs WHERE id = ?", run_id)), None)


def run_of_event(reader: Reader, event_id: str) -> Run | None:
    """The run that an event started."""
    return next(iter(_read(reader, Run, "SELECT * FROM runs WHERE event_id = ?", event_id)), None)


def open_runs(reader: Reader) -> list[sqlite3.Row]:
    """(number, state) of all that is not ended: running first, then in the order they came."""
    sql = "SELECT id, state FROM runs WHERE state IN ('received', 'planned', 'running')"
    return reader.execute(f"{sql} ORDER BY state <> 'running', id").fetchall()


def under_way(reader: Reader) -> list[sqlite3.Row]:
    """What identifies each run that is planned or running, without its texts."""
    sql = "SELECT id, event_id, state, type, project, context, stage FROM runs"
    return reader.execute(f"{sql} WHERE state IN ('planned', 'running') ORDER BY id").fetchall()


def types(reader: Reader, after: int) -> dict[str, int]:
    """The types of the events whose runs came after this one, each with the last such run."""
    sql = "SELECT type, max(id) FROM runs WHERE id > ? GROUP BY type"
    return dict(map(tuple, reader.execute(sql, (after,))))


def answered(reader: Reader, events: Iterable[str], before: float) -> set[int]:
    """Which runs of these events were answered, the last change being so long ago."""
    sql = "SELECT id FROM runs WHERE event_id IN (SELECT value FROM json_each(?))"
    sql += " AND state = 'answered' AND changed < ?"
    return {row["id"] for row in reader.execute(sql, (json.dumps([*events]), before))}


def mark(reader: Reader, name: str) -> float | None:
    """How far something was read that is read on and on."""
    return _figure(reader, "SELECT max(at) FROM marks WHERE name = ?", name)


def recent_runs(reader: Reader, limit: int, *, ignored: bool) -> list[Run]:
    """The newest `limit` runs, oldest first."""
    newest = "SELECT * FROM runs WHERE (? OR state <> 'ignored') ORDER BY id DESC LIMIT ?"
    return _read(reader, Run, f"SELECT * FROM ({newest}) ORDER BY id", ignored, limit)  # noqa: S608


def tombstone(reader: Reader, event_id: str) -> dict[str, Any] | None:
    """What became of an event whose run is no longer kept."""
    row = reader.execute("SELECT * FROM seen WHERE event_id = ?", (event_id,)).fetchone()
    return dict(row) if row else None


def tasks(reader: Reader, run_id: int) -> list[TaskRow]:
    """The attempts at tasks of a run that were launched, in order."""
    sql = "SELECT * FROM tasks WHERE run = ? ORDER BY action, task, attempt"
    return _read(reader, TaskRow, sql, run_id)


def letters(reader: Reader, run_id: int) -> list[Letter]:
    """All messages of a run, in order."""
    return _read(reader, Letter, "SELECT * FROM outbox WHERE run = ? ORDER BY id", run_id)


def due_letters(reader: Reader, destination: str, now: float, limit: int) -> list[Letter]:
    """The messages that may go, or be looked up, now: of each run the first that is still open."""
    sql = (
        f"SELECT * FROM outbox AS a WHERE destination = ?1 AND {OPEN} AND {_DUE} <= ?2"  # noqa: S608
        " AND NOT EXISTS (SELECT 1 FROM outbox AS b WHERE b.destination ="
        " a.destination AND b.run = a.run AND b.id < a.id AND b.state IN ('ready', 'sending'))"
        " ORDER BY due LIMIT ?3"
    )
    return _read(reader, Letter, sql, destination, now, limit)


def next_due(reader: Reader, destination: str, now: float) -> float | None:
    """When the next message of a destination is due."""
    sql = f"SELECT min({_DUE}) FROM outbox WHERE destination = ?1 AND {OPEN}"  # noqa: S608
    return _figure(reader, sql, destination, now)


def oldest_waiting(reader: Reader) -> float | None:
    """When the oldest run came in that is planned and has no slot yet."""
    return _figure(reader, "SELECT min(received) FROM runs WHERE state = 'planned'")


def oldest_letter(reader: Reader, destination: str) -> float | None:
    """When the oldest message to a destination was written that is not delivered yet."""
    sql = f"SELECT min(written) FROM outbox WHERE {OPEN} AND destination = ? AND state <> 'sent'"  # noqa: S608
    return _figure(reader, sql, destination)


def first_notices(reader: Reader, channel: str, now: float, limit: int) -> list[sqlite3.Row]:
    """The first open notices of a channel: id, run, due, and the run's context."""
    sql = f"SELECT outbox.id, run, {_DUE}, context FROM outbox JOIN runs ON runs.id = run"  # noqa: S608
    sql = f"{sql} WHERE destination = ?1 AND outbox.{OPEN} ORDER BY run, outbox.id LIMIT ?3"
    return reader.execute(sql, (channel, now, limit)).fetchall()


def letter(reader: Reader, letter_id: int) -> Letter:
    """The message with this number, which exists."""
    return _read(reader, Letter, "SELECT * FROM outbox WHERE id = ?", letter_id)[0]


def waiting_letters(reader: Reader, destination: str) -> int:
    """How many messages to a destination are not delivered yet."""
    sql = f"SELECT count(*) FROM outbox WHERE {OPEN} AND destination = ?"  # noqa: S608
    return round(_figure(reader, sql, destination) or 0)


def untold(reader: Reader, channel: str) -> int:
    """How many notices were given up of which the channel has not heard."""
    sql = "SELECT count(*) FROM outbox WHERE state = 'dead' AND destination = ? AND due = 0"
    return round(_figure(reader, sql, channel) or 0)


def _read(reader: Reader, kind: type[Row], sql: str, *values: object) -> list[Row]:
    return [kind(**row) for row in reader.execute(sql, values)]


def _figure(reader: Reader, sql: str, *values: str | float) -> float | None:
    found = reader.execute(sql, values).fetchone()[0]
    return None if found is None else float(found)
