"""The tables of the ledger and their versions; nothing here reads or changes a run."""

import sqlite3

from app import boundaries
from app.errors import Permanent

_TABLES = (
    # The ids of events whose runs are forgotten, so that no old event is run again.
    """CREATE TABLE seen (
        event_id TEXT PRIMARY KEY, outcome TEXT NOT NULL, at REAL NOT NULL) WITHOUT ROWID""",
    """CREATE TABLE runs (
        id INTEGER PRIMARY KEY, event_id TEXT NOT NULL UNIQUE, state TEXT NOT NULL,
        reason TEXT NOT NULL, type TEXT NOT NULL, context TEXT NOT NULL,
        project TEXT NOT NULL, stage TEXT NOT NULL, service TEXT NOT NULL,
        event TEXT NOT NULL, happened REAL NOT NULL, received REAL NOT NULL, changed REAL NOT NULL,
        plan TEXT, outcome TEXT, owed INTEGER NOT NULL DEFAULT 1)""",
    "CREATE INDEX runs_open ON runs (state, id) WHERE state IN ('received', 'planned', 'running')",
    "CREATE INDEX runs_changed ON runs (changed)",
    """CREATE TABLE tasks (
        run INTEGER NOT NULL, action INTEGER NOT NULL, task INTEGER NOT NULL, key TEXT NOT NULL,
        name TEXT NOT NULL, launched REAL NOT NULL, ended REAL, outcome TEXT,
        PRIMARY KEY (run, action, task)) WITHOUT ROWID""",
    """CREATE TABLE outbox (
        id INTEGER PRIMARY KEY, run INTEGER NOT NULL, destination TEXT NOT NULL,
        kind TEXT NOT NULL, body TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL,
        due REAL NOT NULL, written REAL NOT NULL, sent REAL, note TEXT NOT NULL)""",
    """CREATE INDEX outbox_open ON outbox (destination, run, id)
        WHERE state IN ('ready', 'sending', 'sent')""",
    "CREATE INDEX outbox_run ON outbox (run)",
)
_ATTEMPTS = (
    "ALTER TABLE tasks RENAME TO tasks_of_version_1",
    """CREATE TABLE tasks (
        run INTEGER NOT NULL, action INTEGER NOT NULL, task INTEGER NOT NULL,
        attempt INTEGER NOT NULL, key TEXT NOT NULL,
        name TEXT NOT NULL, launched REAL NOT NULL, ended REAL, outcome TEXT,
        PRIMARY KEY (run, action, task, attempt)) WITHOUT ROWID""",
    """INSERT INTO tasks
        SELECT run, action, task, 0, key, name, launched, ended, outcome FROM tasks_of_version_1""",
    "DROP TABLE tasks_of_version_1",
)
_NOTICES = (
    "CREATE INDEX outbox_dead ON outbox (destination) WHERE state = 'dead'",
    # Lines of the log are written at once now.
    "DELETE FROM outbox WHERE destination = 'log'",
)
_MARKS = ("CREATE TABLE marks (name TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID",)
_STEPS = (_TABLES, (*_ATTEMPTS, *_NOTICES), _MARKS)
"""What leads from each version to the next; a new file goes all the way."""

VERSION = len(_STEPS)


def require_current(connection: sqlite3.Connection) -> None:
    """Refuse a file that these tables are not in.

    Raises:
        Permanent: with the remedy.
    """
    if (found := _version(connection)) < VERSION:
        raise Permanent(
            f"the ledger has schema version {found}, this Firstmate reads {VERSION}; "
            "start its service, which brings the ledger up to date"
        )


def prepare(connection: sqlite3.Connection) -> None:
    """Make the tables in a new file, or bring an older one up to date, in one transaction.

    Raises:
        Permanent: a newer version of Firstmate wrote the file.
    """
    missing = [statement for step in _STEPS[_version(connection) :] for statement in step]
    if not missing:
        return
    connection.execute("BEGIN IMMEDIATE")
    for number, statement in enumerate(missing):
        connection.execute(statement)
        if number == len(missing) // 2:
            boundaries.reached("schema half made")
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")


def _version(connection: sqlite3.Connection) -> int:
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if found > VERSION:
        raise Permanent(
            f"the ledger has schema version {found}, this Firstmate knows {VERSION}; "
            "start the version that wrote it, or choose another DATA_DIR"
        )
    return found
