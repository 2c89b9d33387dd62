"""The writer thread: what it says is done is on disk, and one failing work harms no other."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from app.core import Core
from app.errors import Permanent
from app.ledger import schema, store
from app.ledger.store import Ledger


def insert(text: str) -> Any:
    """A work that puts a row into a table of the test."""
    return lambda db: db.execute("INSERT INTO words VALUES (?)", (text,)).rowcount


async def words(ledger: Ledger) -> list[str]:
    """What is on disk, in the order of insertion."""
    await ledger.write(lambda db: db.total_changes)
    return [row[0] for row in ledger.reader.execute("SELECT word FROM words ORDER BY rowid")]


@pytest.fixture
async def ledger(core: Core) -> Ledger:
    await core.ledger.write(lambda db: db.execute("CREATE TABLE words (word UNIQUE)").rowcount)
    return core.ledger


async def test_what_is_written_at_the_same_time_keeps_its_order(ledger: Ledger) -> None:
    names = [str(number) for number in range(1000)]
    assert await asyncio.gather(*(ledger.write(insert(name)) for name in names)) == [1] * 1000
    assert await words(ledger) == names


async def test_a_result_comes_after_its_commit(ledger: Ledger, tmp_path: Path) -> None:
    await ledger.write(insert("a"))
    other = store.connect(tmp_path / store.FILE_NAME, read_only=True)
    assert other.execute("SELECT count(*) FROM words").fetchone()[0] == 1
    other.close()


async def test_one_failing_work_harms_no_other_in_its_batch(ledger: Ledger) -> None:
    def fail(db: sqlite3.Connection) -> None:
        insert("half")(db)
        raise KeyError("mine alone")

    works = [insert("a"), fail, insert("b"), insert("a"), insert("c")]
    answers = await asyncio.gather(*(ledger.write(work) for work in works), return_exceptions=True)
    kinds = [type(one) for one in answers]
    assert kinds == [int, KeyError, int, sqlite3.IntegrityError, int]
    assert await words(ledger) == ["a", "b", "c"]


async def test_who_waits_no_longer_harms_nobody(ledger: Ledger) -> None:
    gone = ledger.write(insert("gone"))
    gone.cancel()
    await ledger.write(insert("here"))
    assert await words(ledger) == ["gone", "here"]


async def test_what_was_asked_for_before_the_close_is_kept(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.write(lambda db: db.execute("CREATE TABLE words (word)").rowcount)
    ledger.write(insert("last"))
    ledger.close()
    reader = store.connect(tmp_path / store.FILE_NAME, read_only=True)
    assert [row[0] for row in reader.execute("SELECT word FROM words")] == ["last"]
    reader.close()


async def test_the_reader_cannot_write(ledger: Ledger) -> None:
    with pytest.raises(sqlite3.OperationalError):
        ledger.reader.execute("INSERT INTO words VALUES ('x')")


async def test_a_file_of_another_version_is_refused_with_the_remedy(tmp_path: Path) -> None:
    Ledger(tmp_path).close()
    connection = store.connect(tmp_path / store.FILE_NAME)
    connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    connection.close()
    with pytest.raises(Permanent, match=r"schema version 4, .* start the version that wrote it"):
        Ledger(tmp_path)


async def test_a_file_whose_making_was_broken_off_is_made_again(tmp_path: Path) -> None:
    connection = store.connect(tmp_path / store.FILE_NAME)
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("CREATE TABLE runs (half)")
    connection.close()
    Ledger(tmp_path).close()
    reader = store.connect(tmp_path / store.FILE_NAME, read_only=True)
    schema.require_current(reader)
    assert reader.execute("SELECT count(*) FROM runs").fetchone()[0] == 0
    reader.close()
