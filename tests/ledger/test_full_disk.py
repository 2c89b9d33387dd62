"""A full disk: new events are refused, what runs can still be answered, nothing on disk is lost."""

import json
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.ledger.guard import RESERVE_BYTES

pytestmark = pytest.mark.slow

PROGRAM = """
import asyncio, contextlib, json, resource, sys
from pathlib import Path
from app.clock import Clock
from app.events.build import Outcome
from app.ledger import rows
from app.ledger.store import Ledger, LedgerFull
from app.lifecycle import Lifecycle
from tests.conftest import event

folder, told = Path(sys.argv[1]), []

async def run(life, ledger, name):
    try:
        _, run_id = await life.accept(event(id=name, data=LARGE))
    except LedgerFull:
        return None
    return rows.run(ledger.reader, run_id)

async def answer(life, one):
    try:
        await life.plan(one, "{}", answered=True)
        await life.answer(one, Outcome("succeeded", "pass", "m" * 5000), answered=True)
    except LedgerFull:
        return False
    return True

LARGE = {"project": "p", "stage": "s", "service": "svc", "large": "x" * 20_000}

async def main():
    ledger = Ledger(folder)
    life = Lifecycle(ledger, Clock(), "firstmate")
    BODY
    states = ledger.reader.execute("SELECT state, count(*) FROM runs GROUP BY state").fetchall()
    told.append(dict(map(tuple, states)))
    told.append(ledger.reader.execute("PRAGMA integrity_check").fetchone()[0])
    ledger.close()

asyncio.run(main())
print(json.dumps(told))
"""

LIMITED = """
    kept = [await run(life, ledger, str(number)) for number in range(3)]
    size = (folder / "ledger.db-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 4096, HARD))
    told.append([await run(life, ledger, "new") is None, await answer(life, kept[0])])
    resource.setrlimit(resource.RLIMIT_FSIZE, (HARD, HARD))
    told.append([await run(life, ledger, "new") is None, await answer(life, kept[0])])
"""

FILLED = """
    kept = [await run(life, ledger, str(number)) for number in range(3)]
    with (folder / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(b"x" * 4096)
    told.append(await run(life, ledger, "new") is None)
    told.append([await answer(life, one) for one in kept])
    told.append((folder / "reserve").exists())
    told.append(await run(life, ledger, "newer") is None)
    (folder / "filler").unlink()
    told.append(await run(life, ledger, "newest") is None)
    told.append((folder / "reserve").exists())
"""


def told(body: str, command: list[str], folder: Path) -> list[Any]:
    """What a program of its own tells that does `body` with a ledger in the folder."""
    program = folder.with_name("program.py")
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    program.write_text(PROGRAM.replace("    BODY\n", body).replace("HARD", str(hard)))
    root = Path(__file__).parents[2]
    place = {"PYTHONPATH": str(root), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    done = subprocess.run(
        [*command, sys.executable, str(program), str(folder)],
        capture_output=True,
        text=True,
        env=place,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


def test_where_no_byte_can_be_written_nothing_is_lost_and_all_goes_on_afterwards(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    assert told(LIMITED, [], folder) == [
        [True, False],
        [False, True],
        {"received": 3, "answered": 1},
        "ok",
    ]


def can_mount() -> bool:
    """Whether this machine lets anybody make a name space of their own with a small disk in it."""
    unshare = shutil.which("unshare")
    tried = "mount -t tmpfs none /mnt"
    return bool(unshare) and not subprocess.call([str(unshare), "-Urm", "sh", "-c", tried])


@pytest.mark.skipif(not can_mount(), reason="no mounts in a user name space on this machine")
def test_on_a_full_disk_new_events_are_refused_and_running_work_is_answered(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    size = RESERVE_BYTES + 4 * 1024 * 1024
    mount = f'mount -t tmpfs -o size={size} none "$0" && exec "$@"'
    command = ["unshare", "-Urm", "sh", "-c", mount, str(folder)]
    assert told(FILLED, command, folder) == [
        True,
        [True, True, True],
        False,
        True,
        False,
        True,
        {"answered": 3, "received": 1},
        "ok",
    ]
