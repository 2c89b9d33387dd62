"""The steps of an outgoing message, as functions of a connection; who may take which, and when.

How a message is sent, and what a reply means, stands in `app.senders`.
"""

from collections.abc import Iterable
from sqlite3 import Connection

from app.ledger.rows import OPEN


def change(db: Connection, letter_id: int, **columns: object) -> bool:
    """Give a message's columns these values; False when nothing is to be done with it any more."""
    names = ", ".join(f"{name} = ?" for name in columns)
    return _change(db, names, "id = ?", *columns.values(), letter_id) > 0


def drop(db: Connection, run_id: int, destination: str, note: str) -> None:
    """Nobody wants what a destination is still owed of a run."""
    where = "run = ? AND destination = ?"
    _change(db, "state = 'dropped', note = ?", where, note, run_id, destination)


def doubt(db: Connection, runs: Iterable[int]) -> None:
    """Keptn waits although these runs' answers seemed to be there: have them looked up again."""
    sql = "UPDATE outbox SET state = 'sent', due = 0 WHERE run = ? AND state = 'done'"
    db.executemany(f"{sql} AND kind IN ('started', 'finished')", [(run,) for run in runs])


def give_up(db: Connection, now: float, note: str, where: str, *values: object) -> int:
    """Skip the open notices that fulfil an SQL condition: dead, and nobody told so yet.

    Returns:
        How many there were.
    """
    dead, where = "state = 'dead', sent = ?, due = 0, note = ?", f"kind = 'notice' AND {where}"
    return _change(db, dead, where, now, note, *values)


def told(db: Connection, destination: str, until: float) -> None:
    """The channel heard of the notices that died by then."""
    sql = "UPDATE outbox SET due = 1 WHERE state = 'dead' AND destination = ? AND sent <= ?"
    db.execute(sql, (destination, until))


def prune(db: Connection, runs_before: float, seen_before: float, limit: int = 500) -> list[str]:
    """Forget ended runs whose messages are settled, and later their event ids.

    Returns:
        The launch keys of the forgotten runs, whose output can go as well.
    """
    sql = "SELECT id FROM runs WHERE changed < ? AND state IN ('ignored', 'answered', 'refused')"
    owing = f"SELECT 1 FROM outbox WHERE run = runs.id AND outbox.{OPEN}"  # noqa: S608 - own words
    sql = f"{sql} AND NOT EXISTS ({owing}) ORDER BY changed LIMIT ?"
    runs = db.execute(sql, (runs_before, limit)).fetchall()
    tasks = "SELECT key FROM tasks WHERE run = ?"
    keys = [key for run in runs for (key,) in db.execute(tasks, run)]
    bury = "INSERT OR IGNORE INTO seen SELECT event_id, state, changed FROM runs WHERE id = ?"
    db.executemany(bury, runs)
    db.executemany("DELETE FROM outbox WHERE run = ?", runs)
    db.executemany("DELETE FROM tasks WHERE run = ?", runs)
    db.executemany("DELETE FROM runs WHERE id = ?", runs)
    db.execute("DELETE FROM seen WHERE at < ?", (seen_before,))
    return keys


def _change(db: Connection, changes: str, where: str, *values: object) -> int:
    """Change open messages; how many there were."""
    sql = f"UPDATE outbox SET {changes} WHERE {OPEN} AND {where}"  # noqa: S608 - own words
    return db.execute(sql, values).rowcount
