"""A container of sorts, of namespaces alone: a root of our own, read-only, and no capability.

What is run in it, and what must come of it, stands in the tests.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from subprocess import PIPE, STDOUT, Popen

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64")
"""What a base image would bring, taken from this machine; symbolic links stay links."""

_ISOLATED = ("unshare", "--user", "--mount", "--keep-caps")
_POWERLESS = "--ambient-caps=-all --inh-caps=-all --bounding-set=-all --no-new-privs"
_ENTER = f"""
set -e
root=$1; workdir=$2; shift 2
mount --bind "$root" "$root"
while [ "$1" != -- ]; do
  mount --rbind "$2" "$root$3"
  test "$1" = rw || mount -o remount,bind,ro "$root$3"
  shift 3
done
shift
test "$LOCKED" = no || mount -o remount,bind,ro "$root"
unset LOCKED
exec chroot "$root" setpriv {_POWERLESS} env -C "$workdir" "$@"
"""


@cache
def refusal() -> str:
    """Why no box can be made on this machine; empty if it can."""
    try:
        asked = subprocess.run(
            [*_ISOLATED, "--map-user=10001", "sh", "-c", "mount --bind /tmp /tmp && setpriv true"],
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        return f"no box: {error}"
    return "" if asked.returncode == 0 else f"no box: {asked.stderr.strip()}"


class Box:
    """A folder as a root; `rw` and `ro` say what else of this machine stands where in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._mounts: list[tuple[str, str, str]] = []
        for folder in ("dev", "proc", "etc", "tmp"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        (root / "etc/hosts").write_text("127.0.0.1 localhost\n")
        for system in SYSTEM:
            self._lend(Path(system))
        for folder in ("/dev", "/proc"):
            self.mount("rw", Path(folder), folder)
        base = Path(sys.base_prefix)
        if not base.is_relative_to("/usr"):
            self.mount("ro", base, str(base))

    def _lend(self, system: Path) -> None:
        place = self.root / system.relative_to("/")
        if system.is_symlink() and not place.is_symlink():
            place.symlink_to(system.readlink())
        elif system.is_dir() and not system.is_symlink():
            self.mount("ro", system, str(system))

    def mount(self, mode: str, source: Path, target: str) -> None:
        """Have a folder of this machine at a place of the box, `ro` or `rw`."""
        (self.root / target.lstrip("/")).mkdir(parents=True, exist_ok=True)
        self._mounts.append((mode, str(source), target))

    def start(
        self,
        command: Sequence[str],
        env: Mapping[str, str],
        user: int,
        workdir: str = "/",
        *,
        locked: bool = True,
    ) -> "Popen[str]":
        """Run a command as a user who owns everything; `locked` is the read-only root."""
        mounts = [part for mount in self._mounts for part in mount]
        entering = ["sh", "-c", _ENTER, "box", str(self.root), workdir, *mounts, "--"]
        inside = ["env", "-i", *(f"{name}={text}" for name, text in env.items()), *command]
        return Popen(
            [*_ISOLATED, f"--map-user={user}", f"--map-group={user}", *entering, *inside],
            env={"PATH": os.environ["PATH"], "LOCKED": "yes" if locked else "no"},
            stdout=PIPE,
            stderr=STDOUT,
            text=True,
        )
