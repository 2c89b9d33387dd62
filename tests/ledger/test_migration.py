"""A ledger of an older version is brought up to date, whole or not at all, and is gone on with.

`version_1.sql` is a ledger that version 1 itself wrote, with a run in every state.
"""

import asyncio
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.errors import Permanent
from app.ledger import rows, schema, store
from app.ledger.store import Ledger
from tests.captain import Captain
from tests.conftest import connection
from tests.ship import InstantEngine, Ship

VERSION_1 = (Path(__file__).parent / "version_1.sql").read_text()
TABLES = ("seen", "runs", "tasks", "outbox")
KILLED_HALF_WAY = """
import os, signal, sys
from pathlib import Path
from app import boundaries
from app.ledger import schema, store
boundaries.reached = lambda name: os.kill(os.getpid(), signal.SIGKILL)
schema.prepare(store.connect(Path(sys.argv[1])))
"""

Rows = dict[str, list[tuple[Any, ...]]]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A data folder with a ledger of version 1."""
    folder = tmp_path / "data"
    folder.mkdir()
    with closing(sqlite3.connect(folder / store.FILE_NAME)) as ledger:
        ledger.execute("PRAGMA journal_mode = WAL")
        ledger.executescript(VERSION_1)
    return folder


def content(folder: Path) -> Rows:
    """All rows of all tables."""
    with closing(sqlite3.connect(folder / store.FILE_NAME)) as ledger:
        return {name: ledger.execute(f"SELECT * FROM {name}").fetchall() for name in TABLES}


def migrated(rows_of_old: Rows) -> Rows:
    """The same rows in version 2: tasks are at their first attempt, lines of the log are gone."""
    tasks = [(*one[:3], 0, *one[3:]) for one in rows_of_old["tasks"]]
    letters = [one for one in rows_of_old["outbox"] if one[2] != "log"]
    return {**rows_of_old, "tasks": tasks, "outbox": letters}


def shape(folder: Path) -> list[tuple[str, str]]:
    """Every table and index, as a file describes itself."""
    with closing(sqlite3.connect(folder / store.FILE_NAME)) as ledger:
        found = ledger.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
    return [(name, sql) for name, sql in found if sql]


async def test_everything_is_still_there(old: Path) -> None:
    before = content(old)
    assert all(migrated(before).values())
    Ledger(old).close()
    assert content(old) == migrated(before)


async def test_a_migrated_ledger_is_shaped_like_a_new_one(old: Path, tmp_path: Path) -> None:
    Ledger(old).close()
    Ledger(tmp_path).close()
    assert shape(old) == shape(tmp_path)


async def test_a_second_start_finds_nothing_to_migrate(old: Path) -> None:
    Ledger(old).close()
    before = content(old)
    Ledger(old).close()
    assert content(old) == before


@pytest.mark.slow
async def test_killed_half_way_it_is_still_whole_and_the_next_start_migrates_it(old: Path) -> None:
    before, was = content(old), shape(old)
    program = [sys.executable, "-c", KILLED_HALF_WAY, str(old / store.FILE_NAME)]
    ended = await asyncio.to_thread(subprocess.run, program, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert (content(old), shape(old)) == (before, was)
    Ledger(old).close()
    assert content(old) == migrated(before)


def test_a_command_reads_no_ledger_that_is_not_migrated_yet(old: Path) -> None:
    with (
        closing(store.connect(old / store.FILE_NAME, read_only=True)) as ledger,
        pytest.raises(Permanent, match="version 1, this Firstmate reads 3; start its service"),
    ):
        schema.require_current(ledger)


@pytest.mark.slow
async def test_a_service_goes_on_with_what_version_1_left(
    old: Path, start: Callable[..., Ship], captain: Captain
) -> None:
    for run in content(old)["runs"]:
        given = {"event_id": run[1], "context": run[5]}
        await asyncio.to_thread(captain.keptn.trigger, ["test"], **given)
    captain.keptn.resource(None, "p", "s", "svc")
    engine = InstantEngine()
    start(engine=engine, data_dir=old, **connection(captain.keptn, "api"))
    for state in ("planned", "running", "answered"):
        task = await captain.wait(f"event-{state}")
        assert (task["started"], task["finished"]) == (1, 1)
    assert len(engine.launched) == 3  # the tasks of the run that was only planned
    message = captain.finished("event-running")["message"]
    assert "'First' finished successfully" in message
    assert "'Second' was interrupted" in message
    with closing(store.connect(old / store.FILE_NAME, read_only=True)) as ledger:
        received = rows.run_of_event(ledger, "event-received")
    assert received
    assert received.state != "received"
