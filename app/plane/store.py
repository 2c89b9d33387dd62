"""plane.db: events, executions, log entries, contents, places. Stores and finds; decides nothing.

A row is a JSON document as the API shows it; generated columns bear the names of the API's query.
"""

import json
import math
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from app.errors import Temporary

Document = dict[str, Any]
"""A decoded JSON object with Keptn's own keys."""

_COLUMNS = {
    "events": "eventID:id type source time keptnContext:shkeptncontext triggeredID:triggeredid "
    "project:data.project stage:data.stage service:data.service",
    "executions": "id:_id name:sequence.name status:status.state keptnContext:scope.keptnContext "
    "project:scope.project stage:scope.stage service:scope.service time:triggeredAt "
    "taskID:status.currentTask.triggeredID",
    "logs": "integrationId:integrationid time",
    "integrations": "id name namespace:metadata.kubernetesmetadata.namespace "
    "hostname:metadata.hostname time:metadata.lastseen",
}
"""Each column with the place of its value in the document, where that has another name."""

_SCHEMA = """
CREATE UNIQUE INDEX IF NOT EXISTS event ON events (eventID);
CREATE UNIQUE INDEX IF NOT EXISTS execution ON executions (id);
CREATE UNIQUE INDEX IF NOT EXISTS integration ON integrations (id);
CREATE INDEX IF NOT EXISTS events_of_run ON events (keptnContext);
CREATE INDEX IF NOT EXISTS executions_of_run ON executions (keptnContext, status);
CREATE INDEX IF NOT EXISTS runs ON executions (project, keptnContext, status);
CREATE INDEX IF NOT EXISTS lanes ON executions (project, stage, service, status);
CREATE INDEX IF NOT EXISTS answers ON events (triggeredID);
CREATE INDEX IF NOT EXISTS tasks ON executions (taskID);
CREATE INDEX IF NOT EXISTS open_events ON events (phase, type);
CREATE INDEX IF NOT EXISTS types ON events (project, type, phase);
CREATE INDEX IF NOT EXISTS moments ON events (project, time, phase);
CREATE INDEX IF NOT EXISTS times ON events (time);
CREATE INDEX IF NOT EXISTS log_times ON logs (time);
CREATE TABLE IF NOT EXISTS pauses (keptnContext, stage, PRIMARY KEY (keptnContext, stage));
CREATE TABLE IF NOT EXISTS places (project, stage, service, created INTEGER,
    PRIMARY KEY (project, stage, service));
CREATE TABLE IF NOT EXISTS snapshots (version PRIMARY KEY, digests TEXT);
CREATE TABLE IF NOT EXISTS contents (digest PRIMARY KEY, content BLOB);
"""
OPEN_STATES = ("started", "waitingForApproval", "waiting", "paused")
ENDED_STATES = ("timedOut", "aborted", "finished")
RUN_STATES = (*OPEN_STATES, *ENDED_STATES)
"""Of its executions' states a run shows the first of these."""

_RUN_STATE = " ".join(f"WHEN max(status = '{word}') THEN '{word}'" for word in RUN_STATES)
OPEN = "phase IN ('held', 'open', 'taken')"
_SENT_AND_OPEN = "phase IN ('open', 'taken')"
_UNANSWERED = "NOT EXISTS (SELECT 1 FROM events AS a WHERE a.triggeredID = events.eventID)"
_LANE = "project = ? AND stage = ? AND service = ?"
_BOUNDS = {"fromTime": "time > ?", "beforeTime": "time < ?"}


@dataclass(frozen=True, slots=True)
class Listing:
    """Which rows are wanted, newest first: the texts of their columns, and the page; size 0 is all.

    An empty text is any, a comma means "one of these"; times are compared as texts, as in Keptn.
    """

    texts: Mapping[str, str]
    size: int = 0
    offset: int = 0

    def of(self, **texts: str) -> "Listing":
        """Only those of them that also have these texts."""
        return replace(self, texts={**self.texts, **texts})


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list: its items, the next one's offset (0: none), and how many there are."""

    items: list[Any]
    following: int
    total: int

    def shown(self, name: str) -> Document:
        """The page in Keptn's form: what is 0 is left out."""
        counts = {"totalCount": self.total, "nextPageKey": self.following}
        return {name: self.items, **{key: count for key, count in counts.items() if count}}


class Store:
    """A connection that writes and one for long lists, which keeps nobody waiting; a lock for each.

    The phase of a triggered task's event: scheduled (for later), held (while its run must wait),
    open, taken (by the door), closed; that of a sequence's end: untold, then closed.
    """

    def __init__(self, path: Path) -> None:
        self._lock, self._reading = threading.RLock(), threading.Lock()
        path.touch(0o600)
        connect = partial(sqlite3.connect, path, check_same_thread=False, isolation_level=None)
        self._db, self._reader = connect(), connect()
        self._db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
        tables = "".join(map(_table, _COLUMNS))
        self._db.executescript(f"BEGIN; {tables} {_SCHEMA} COMMIT")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, and nobody else meanwhile."""
        with self._lock, self._db:  # which rolls back what did not come to its end
            self.query("BEGIN IMMEDIATE")
            yield
            self.query("COMMIT")

    def query(self, sql: str, *values: Any, **named: Any) -> list[tuple[Any, ...]]:
        """Run one statement.

        Raises:
            Temporary: the disk is full or fails.
        """
        with self._lock:
            return _rows(self._db, sql, named or values)

    def put(self, table: str, body: Document, phase: str = "", due: float | None = None) -> None:
        """Store a document as the newest, in place of the one with its id."""
        sql = f"INSERT OR REPLACE INTO {table} (body, phase, due) VALUES (?, ?, ?)"  # noqa: S608
        self.query(sql, json.dumps(body), phase, due)

    def set_phase(self, event_id: str, phase: str) -> None:
        """An event goes on; a closed one stays closed."""
        sql = "UPDATE events SET phase = ? WHERE eventID = ? AND phase != 'closed'"
        self.query(sql, phase, event_id)

    def find(self, table: str, where: str, *values: Any) -> list[Document]:
        """The documents that fulfil an SQL condition, oldest first."""
        found = self.query(f"SELECT body FROM {table} WHERE {where} ORDER BY n", *values)  # noqa: S608
        return [json.loads(body) for (body,) in found]

    def release(self, event_id: str, now: float) -> None:
        """An event that was held is open from now on."""
        sql = "UPDATE events SET phase = 'open', due = ? WHERE eventID = ? AND phase = 'held'"
        self.query(sql, now, event_id)

    def pause(self, context: str, stage: str, *, resume: bool) -> None:
        """Pause a context in a stage, or without one in all, or let it go on there."""
        add = "INSERT OR IGNORE INTO pauses VALUES (?, ?)"
        drop = "DELETE FROM pauses WHERE keptnContext = ? AND ? IN ('', stage)"
        self.query(drop if resume else add, context, stage)

    def is_paused(self, context: str, stage: str) -> bool:
        """Whether nothing new of a context shall start in a stage."""
        sql = "SELECT 1 FROM pauses WHERE keptnContext = ? AND stage IN ('', ?)"
        return bool(self.query(sql, context, stage))

    def is_taken(self, scope: Document) -> bool:
        """Whether a run of another context is at work on this stage and service."""
        sql = f"SELECT 1 FROM executions WHERE {_LANE} AND status = 'started' AND keptnContext != ?"  # noqa: S608
        return bool(self.query(sql, *_lane(scope), scope["keptnContext"]))

    def next_waiting(self, scope: Document) -> Document | None:
        """The execution that waits for this stage and service since it was triggered first."""
        order = "status = 'waiting' ORDER BY time, n LIMIT 1"
        found = self.query(f"SELECT body FROM executions WHERE {_LANE} AND {order}", *_lane(scope))  # noqa: S608
        return json.loads(found[0][0]) if found else None

    def unanswered(self, due_before: float) -> list[Document]:
        """Open events that were due before a time, and about which nothing at all was heard."""
        return self.find("events", f"{_SENT_AND_OPEN} AND due <= ? AND {_UNANSWERED}", due_before)

    def next_moment(self, start_timeout: float) -> float:
        """When next an event becomes due, or an open one has waited too long; infinity: never."""
        moment = f"SELECT min(due + (phase != 'scheduled') * ?) FROM events WHERE {_UNANSWERED}"  # noqa: S608
        sql = f"{moment} AND phase IN ('scheduled', 'open', 'taken')"
        found: float | None = self.query(sql, start_timeout)[0][0]
        return math.inf if found is None else found

    def page(self, table: str, listing: Listing, condition: str = "1") -> Page:
        """The listing's page of the rows that also fulfil an SQL condition."""
        where, values = _where(listing, condition)
        found = f"SELECT n FROM {table} WHERE {where}"  # noqa: S608
        places = f"{found} ORDER BY n DESC LIMIT ? OFFSET ?"  # out of an index alone
        bodies = f"SELECT body FROM {table} WHERE n IN ({places}) ORDER BY n DESC"  # noqa: S608
        return self._page(found, bodies, listing, values)

    def runs(self, listing: Listing, state: str) -> Page:
        """The listing's page of contexts that have executions, those with news first."""
        where, values = _where(listing, "1")
        having = f"GROUP BY 1 HAVING ? IN ('', CASE {_RUN_STATE} END)"
        found = f"SELECT json_quote(keptnContext) FROM executions WHERE {where} {having}"  # noqa: S608
        newest = f"{found} ORDER BY max(n) DESC LIMIT ? OFFSET ?"
        return self._page(found, newest, listing, [*values, state])

    def _page(self, found: str, window: str, listing: Listing, values: list[str]) -> Page:
        with self._reading:
            total = _rows(self._reader, f"SELECT count(*) FROM ({found})", values)[0][0]  # noqa: S608
            rows = _rows(self._reader, window, [*values, listing.size or -1, listing.offset])
        end = listing.offset + len(rows)
        return Page([json.loads(row) for (row,) in rows], end if end < total else 0, total)

    def close(self) -> None:
        """Let go of the file, once a look-up that a cancelled caller left behind has ended."""
        with self._lock, self._reading:
            self._reader.close()
            self._db.close()


def _rows(db: sqlite3.Connection, sql: str, values: Any) -> list[tuple[Any, ...]]:
    try:
        return db.execute(sql, values).fetchall()
    except sqlite3.OperationalError as error:
        raise Temporary(f"plane.db: {error}") from error


def _lane(scope: Document) -> tuple[str, str, str]:
    return scope["project"], scope["stage"], scope["service"]


def _where(listing: Listing, condition: str) -> tuple[str, list[str]]:
    """The SQL condition that a row is in the list, and its values."""
    where, values = [condition], []
    for name, text in listing.texts.items():
        if text:
            any_of = [text] if name in _BOUNDS else text.split(",")
            where.append(_BOUNDS.get(name, f"{name} IN ({', '.join('?' * len(any_of))})"))
            values += any_of
    return " AND ".join(where), values


def _table(name: str) -> str:
    places = (entry.partition(":") for entry in _COLUMNS[name].split())
    columns = (f"{column} AS (json_extract(body, '$.{at or column}'))" for column, _, at in places)
    own = "n INTEGER PRIMARY KEY, body TEXT NOT NULL, phase TEXT, due REAL"
    return f"CREATE TABLE IF NOT EXISTS {name} ({own}, {', '.join(columns)});"
