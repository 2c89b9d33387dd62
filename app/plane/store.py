"""plane.db: events, executions, log entries, contents of stages. Stores and finds; decides nothing.

A row is a JSON document as the API shows it; generated columns bear the names of the API's query.
"""

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.errors import Temporary

Document = dict[str, Any]
"""A decoded JSON object with Keptn's own keys."""

_SCOPE = {name: f"data.{name}" for name in ("project", "stage", "service")}
_COLUMNS = {
    "events": {
        **{name: name for name in ("type", "source", "time")},
        **{"eventID": "id", "keptnContext": "shkeptncontext", "triggeredID": "triggeredid"},
        **_SCOPE,
    },
    "executions": {
        **{name: f"scope.{name}" for name in (*_SCOPE, "keptnContext")},
        **{"id": "_id", "name": "sequence.name", "status": "status.state", "time": "triggeredAt"},
        "taskID": "status.currentTask.triggeredID",
    },
    "logs": {"integrationId": "integrationid", "time": "time"},
}
_INDEXED = ("eventID", "keptnContext", "triggeredID", "taskID")
_OTHERS = """
CREATE UNIQUE INDEX IF NOT EXISTS execution ON executions (id);
CREATE INDEX IF NOT EXISTS phase ON events (phase);
CREATE TABLE IF NOT EXISTS services (stage, service, PRIMARY KEY (stage, service));
CREATE TABLE IF NOT EXISTS snapshots (version, path, digest, PRIMARY KEY (version, path));
CREATE TABLE IF NOT EXISTS contents (digest PRIMARY KEY, content BLOB);
PRAGMA user_version = 1;
"""
_UNANSWERED = "NOT EXISTS (SELECT 1 FROM events AS a WHERE a.triggeredID = events.eventID)"
_BOUNDS = {"fromTime": "time > ?", "beforeTime": "time < ?"}


@dataclass(frozen=True, slots=True)
class Listing:
    """Which rows are wanted, newest first: the texts of their columns, and the page; size 0 is all.

    An empty text is any, a comma means "one of these"; times are compared as texts, as in Keptn.
    """

    texts: Mapping[str, str] = field(default_factory=dict)
    size: int = 0
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list; `next_offset` is 0 at the end."""

    items: list[Document]
    total: int
    next_offset: int


class Store:
    """One connection under one lock.

    An event's phase is empty but for a triggered task: scheduled, open, taken (by the door), closed.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
        self._db.executescript("".join(map(_table, _COLUMNS)) + _OTHERS)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, and nobody else meanwhile."""
        with self._lock:
            try:
                self.query("BEGIN IMMEDIATE")
                yield
                self.query("COMMIT")
            finally:
                if self._db.in_transaction:
                    self.query("ROLLBACK")

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run one statement.

        Raises:
            Temporary: the disk is full or fails.
        """
        try:
            with self._lock:
                return self._db.execute(sql, values).fetchall()
        except sqlite3.OperationalError as error:
            raise Temporary(f"plane.db: {error}") from error

    def put_event(self, event: Document, phase: str = "", due: float | None = None) -> None:
        """Store an event as the newest, in place of one with its id."""
        self.query("DELETE FROM events WHERE eventID = ?", event["id"])
        row = (json.dumps(event), phase, due)
        self.query("INSERT INTO events (body, phase, due) VALUES (?, ?, ?)", *row)

    def put(self, table: str, body: Document) -> None:
        """Store an execution, in place of its former state, or a log entry."""
        sql = (
            f"INSERT INTO {table} (body) VALUES (?) ON CONFLICT DO UPDATE SET body = excluded.body"
        )
        self.query(sql, json.dumps(body))

    def set_phase(self, event_id: str, phase: str) -> None:
        """A triggered task's event goes on; a closed one stays closed."""
        where = "eventID = ? AND phase != 'closed'"
        self.query(f"UPDATE events SET phase = ? WHERE {where}", phase, event_id)

    def find(self, table: str, where: str, *values: Any) -> list[Document]:
        """The documents that fulfil an SQL condition, oldest first."""
        found = self.query(f"SELECT body FROM {table} WHERE {where} ORDER BY n", *values)
        return [json.loads(body) for (body,) in found]

    def unanswered(self, due_before: float) -> list[Document]:
        """Open events that were due before a time, and about which nothing at all was heard."""
        where = f"phase IN ('open', 'taken') AND due <= ? AND {_UNANSWERED}"
        return self.find("events", where, due_before)

    def next_moment(self, start_timeout: float) -> float | None:
        """When next an event becomes due, or an open one has waited too long."""
        moment = f"SELECT min(due + (phase != 'scheduled') * ?) FROM events WHERE {_UNANSWERED}"
        phases = " AND phase IN ('scheduled', 'open', 'taken')"
        found: float | None = self.query(moment + phases, start_timeout)[0][0]
        return found

    def page(self, table: str, listing: Listing, condition: str = "1") -> Page:
        """The listing's page of the rows that also fulfil an SQL condition."""
        where, values = [condition], []
        for name, text in listing.texts.items():
            if text:
                any_of = [text] if name in _BOUNDS else text.split(",")
                where.append(_BOUNDS.get(name, f"{name} IN ({', '.join('?' * len(any_of))})"))
                values += any_of
        source = f"FROM {table} WHERE {' AND '.join(where)}"
        with self._lock:
            total = self.query(f"SELECT count(*) {source}", *values)[0][0]
            window = f"SELECT body {source} ORDER BY n DESC LIMIT ? OFFSET ?"
            rows = self.query(window, *values, listing.size or -1, listing.offset)
        end = listing.offset + len(rows)
        return Page([json.loads(body) for (body,) in rows], total, end if end < total else 0)

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._db.close()


def _table(name: str) -> str:
    columns = (
        f"{each} AS (json_extract(body, '$.{path}'))" for each, path in _COLUMNS[name].items()
    )
    own = "n INTEGER PRIMARY KEY, body TEXT NOT NULL, phase TEXT, due REAL"
    table = f"CREATE TABLE IF NOT EXISTS {name} ({own}, {', '.join(columns)});"
    indexed = [each for each in _INDEXED if each in _COLUMNS[name]]
    return table + "".join(
        f"CREATE INDEX IF NOT EXISTS {name}_{each} ON {name} ({each});" for each in indexed
    )
