"""One owner a folder, on a local disk; and what those who come second are told."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from app.errors import Permanent
from app.ledger import guard
from app.ledger.guard import Lock, Reserve
from tests.doors.conftest import NO_KEPTN
from tests.ship import Ship

MOUNTS = """\
/dev/vda1 / ext4 rw 0 0
server:/home /home nfs4 rw 0 0
/dev/sdb1 /home/local xfs rw 0 0
//server/share /mnt/the\\040share cifs rw 0 0
tmpfs /data tmpfs rw 0 0
user@host: /data/far fuse.sshfs rw 0 0
broken
"""


def test_the_second_one_is_told_who_holds_the_folder_and_what_to_do(tmp_path: Path) -> None:
    first = Lock(tmp_path)
    first.take("2023-05-17T08:21:44.305Z")
    with pytest.raises(Permanent) as caught:
        Lock(tmp_path).take("later")
    assert str(caught.value) == (
        f"DATA_DIR {tmp_path} is in use by firstmate pid {os.getpid()} on {socket.gethostname()} "
        "since 2023-05-17T08:21:44.305Z; stop that one, or choose another DATA_DIR"
    )
    first.release()
    second = Lock(tmp_path)
    second.take("later")
    second.release()


@pytest.mark.slow
def test_the_lock_of_a_process_that_was_killed_is_free(tmp_path: Path) -> None:
    program = (
        "import os, pathlib, signal, sys; from app.ledger.guard import Lock; "
        "Lock(pathlib.Path(sys.argv[1])).take('once'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert guard.read_holder(tmp_path)["since"] == "once"
    lock = Lock(tmp_path)
    lock.take("again")
    assert guard.read_holder(tmp_path)["since"] == "again"
    lock.release()
    assert guard.read_holder(tmp_path) == {}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 5}'])
def test_an_odd_lock_file_does_no_harm(tmp_path: Path, text: str) -> None:
    (tmp_path / guard.LOCK_NAME).write_text(text)
    lock = Lock(tmp_path)
    lock.take("now")
    lock.describe({"door": "http://127.0.0.1:8080"})
    found = guard.read_holder(tmp_path)
    assert (found["pid"], found["door"]) == (os.getpid(), "http://127.0.0.1:8080")
    lock.release()


@pytest.mark.slow
async def test_a_second_service_on_the_same_folder_does_not_start(
    start: Callable[..., Ship], tmp_path: Path
) -> None:
    ship = start(**NO_KEPTN)
    with pytest.raises(Permanent, match=f"in use by firstmate pid {os.getpid()}"):
        start(**NO_KEPTN)
    holder = json.loads((tmp_path / "data" / guard.LOCK_NAME).read_text())
    assert (holder["door"], holder["ops"]) == (ship.door, ship.ops)


@pytest.mark.parametrize(
    ("folder", "kind"),
    [("/home/me/data", "nfs4"), ("/mnt/the share/x", "cifs"), ("/data/far/away", "fuse.sshfs")],
)
def test_a_network_file_system_is_refused_with_the_remedy(folder: str, kind: str) -> None:
    with pytest.raises(Permanent) as caught:
        guard.require_local_disk(Path(folder), MOUNTS)
    assert str(caught.value) == (
        f"DATA_DIR {folder} is on a network file system ({kind}); "
        "the ledger needs a local disk or a block volume of one node"
    )


@pytest.mark.parametrize("folder", ["/var/lib", "/home/local/data", "/data", "/homeless"])
def test_a_local_disk_is_taken(folder: str) -> None:
    guard.require_local_disk(Path(folder), MOUNTS)


def test_what_cannot_be_known_is_not_refused(tmp_path: Path) -> None:
    guard.require_local_disk(tmp_path, "")
    guard.require_local_disk(tmp_path)


def test_the_reserve_is_held_once_and_spent_once(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path)
    assert reserve.hold()
    assert reserve.hold()
    assert (tmp_path / "reserve").stat().st_blocks * 512 >= guard.RESERVE_BYTES
    assert reserve.spend()
    assert not reserve.spend()
