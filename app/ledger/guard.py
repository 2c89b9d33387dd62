"""What keeps the ledger safe from outside: one owner, a local disk, and a reserve of space.

Nothing here touches the tables.
"""

import contextlib
import fcntl
import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.errors import Permanent

LOCK_NAME = "firstmate.lock"
RESERVE_BYTES = 8 * 1024 * 1024
"""Space given back when the disk is full, so that running work can still be answered."""

_NETWORK = (
    *("nfs", "cifs", "smb", "ncp", "afs", "ceph", "lustre", "beegfs", "gfs", "ocfs", "gpfs", "9p"),
    *("fuse.sshfs", "fuse.gluster", "fuse.s3fs", "fuse.ceph", "fuse.rclone"),
)
"""How the names of file systems begin that are shared over a network."""


def require_local_disk(folder: Path, mounts: str | None = None) -> None:
    """Refuse a folder on a network file system, where SQLite's locks and syncs cannot be trusted.

    Raises:
        Permanent: naming the folder, the file system and the remedy.
    """
    if mounts is None:
        with contextlib.suppress(OSError):
            mounts = Path("/proc/self/mounts").read_text()
    kind = _file_system(folder.resolve(), mounts or "")
    if kind.startswith(_NETWORK):
        raise Permanent(
            f"DATA_DIR {folder} is on a network file system ({kind}); "
            "the ledger needs a local disk or a block volume of one node"
        )


def _file_system(folder: Path, mounts: str) -> str:
    """The type of the mount that holds the folder; the last of the longest ones wins."""
    best, kind = 0, ""
    for line in mounts.splitlines():
        fields = line.split(" ")
        point = fields[1].replace("\\040", " ") if len(fields) > 2 else ""  # noqa: PLR2004
        if point and folder.is_relative_to(point) and len(point) >= best:
            best, kind = len(point), fields[2]
    return kind


class Lock:
    """The one active instance of a data folder; the operating system lets go of it at any end."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK_NAME
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)

    def take(self, since: str) -> None:
        """Become the owner.

        Raises:
            Permanent: another process is; its pid, host and start are named.
        """
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = read_holder(self._path.parent)
            os.close(self._file)
            raise Permanent(
                f"DATA_DIR {self._path.parent} is in use by firstmate pid {holder.get('pid', '?')} "
                f"on {holder.get('host', '?')} since {holder.get('since', '?')}; "
                "stop that one, or choose another DATA_DIR"
            ) from None
        self.describe({"pid": os.getpid(), "host": socket.gethostname(), "since": since})

    def describe(self, holder: Mapping[str, Any]) -> None:
        """Write down who holds the lock and where it listens, for the commands to read."""
        text = json.dumps({**read_holder(self._path.parent), **holder}).encode()
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, text, 0)

    def release(self) -> None:
        """Let the next one in."""
        os.ftruncate(self._file, 0)
        os.close(self._file)


def read_holder(folder: Path) -> dict[str, Any]:
    """What the present or last owner wrote; empty when there is none."""
    try:
        found = json.loads((folder / LOCK_NAME).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


class Reserve:
    """A file that only takes up space, until somebody needs that space more."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "reserve"

    def hold(self) -> bool:
        """Whether the reserve is there, after an attempt to make it."""
        if self._path.exists():
            return True
        part = self._path.with_suffix(".part")
        try:
            with part.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)
            part.rename(self._path)
        except OSError:
            part.unlink(missing_ok=True)
            return False
        return True

    def spend(self) -> bool:
        """Give the space back; whether there was any."""
        try:
            self._path.unlink()
        except OSError:
            return False
        return True
