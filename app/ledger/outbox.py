"""The steps of an outgoing message, as functions of a connection; who may take which, and when.

How a message is sent, and what a reply means, stands in `app.senders`.
"""

import sqlite3
from collections.abc import Iterable


def intend(db: sqlite3.Connection, letter_id: int, now: float) -> bool:
    """From here on the message may have arrived; False when it is not to go any more."""
    changed = db.execute(
        "UPDATE outbox SET state = 'sending', attempts = attempts + 1, sent = ? WHERE id = ?"
        " AND state IN ('ready', 'sending', 'sent')",
        (now, letter_id),
    )
    return changed.rowcount > 0


def settle(
    db: sqlite3.Connection, letter_id: int, state: str, now: float, note: str = "", after: float = 0
) -> None:
    """The message's last state, or `sent`: accepted, and to be looked up after some seconds."""
    put_off(db, letter_id, now + after, note, state=state, sent=now)


def put_off(
    db: sqlite3.Connection, letter_id: int, due: float, note: str, **columns: object
) -> None:
    """Nothing more is done about the message before `due`, unless it was given up meanwhile."""
    names = "".join(f", {name} = ?" for name in columns)
    db.execute(
        f"UPDATE outbox SET due = ?, note = ?{names} WHERE id = ?"  # noqa: S608 - own names
        " AND state NOT IN ('dropped', 'dead')",
        (due, note, *columns.values(), letter_id),
    )


def doubt(db: sqlite3.Connection, runs: Iterable[int]) -> None:
    """Keptn waits although these runs' answers seemed to be there: have them looked up again."""
    db.executemany(
        "UPDATE outbox SET state = 'sent', due = 0 WHERE run = ? AND state = 'done'"
        " AND kind IN ('started', 'finished')",
        [(run,) for run in runs],
    )


def give_up(db: sqlite3.Connection, now: float, note: str, where: str, *values: object) -> int:
    """Skip the open notices that fulfil an SQL condition: dead, and nobody told so yet.

    Returns:
        How many there were.
    """
    sql = "UPDATE outbox SET state = 'dead', sent = ?, due = 0, note = ? WHERE kind = 'notice'"
    sql = f"{sql} AND state IN ('ready', 'sending', 'sent') AND {where}"
    return db.execute(sql, (now, note, *values)).rowcount


def told(db: sqlite3.Connection, destination: str, until: float) -> None:
    """The channel heard of the notices that died by then."""
    db.execute(
        "UPDATE outbox SET due = 1 WHERE state = 'dead' AND destination = ? AND sent <= ?",
        (destination, until),
    )


def prune(
    db: sqlite3.Connection, runs_before: float, seen_before: float, limit: int = 500
) -> list[str]:
    """Forget ended runs whose messages are settled, and later their event ids.

    Returns:
        The launch keys of the forgotten runs, whose output can go as well.
    """
    runs = db.execute(
        "SELECT id FROM runs WHERE changed < ? AND state IN ('ignored', 'answered', 'refused')"
        " AND NOT EXISTS (SELECT 1 FROM outbox WHERE run = runs.id AND state IN"
        " ('ready', 'sending', 'sent')) ORDER BY changed LIMIT ?",
        (runs_before, limit),
    ).fetchall()
    keys = [
        row["key"] for run in runs for row in db.execute("SELECT key FROM tasks WHERE run = ?", run)
    ]
    bury = "INSERT OR IGNORE INTO seen SELECT event_id, state, changed FROM runs WHERE id = ?"
    db.executemany(bury, runs)
    db.executemany("DELETE FROM outbox WHERE run = ?", runs)
    db.executemany("DELETE FROM tasks WHERE run = ?", runs)
    db.executemany("DELETE FROM runs WHERE id = ?", runs)
    db.execute("DELETE FROM seen WHERE at < ?", (seen_before,))
    return keys
