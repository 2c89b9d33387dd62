"""A task's folder: the files that are laid out for it, and the file in which it tells its result.

What becomes of them, by mount or by path, is each engine's business; so is what it runs.
"""

import contextlib
import os
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from app.engines.contract import RESULT_BYTES
from app.errors import Permanent
from app.jobconfig.env import expand

MOUNT = "/keptn"
"""Where a task expects its files."""


class Folder:
    """One task's folder; `shared` is one whose files are for other users of the machine, too.

    They get at them through a mount only: the folder around them is closed to all but us.

    Attributes:
        files: what the task knows as `/keptn`.
        result: what KEPTN_RESULT_FILE names; outside of the files, for it is none of the user's.
        private: what an engine has to tell its own tools, and nobody else.
    """

    def __init__(self, path: Path, *, shared: bool = False) -> None:
        self.path, self._shared = path, shared
        self.files = path / "keptn"
        self.result = path / "result"
        self.private = path / "private"

    def lay_out(self, files: Mapping[str, bytes], private: str) -> None:
        """Write everything that the task and its engine's tools find.

        Raises:
            Permanent: a path that leaves the folder, or is none.
            OSError: a file cannot be written; its `filename` says which.
        """
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._make(self.files)
        self._write(self.result, b"", shared=self._shared)
        if private:
            self._write(self.private, private.encode(), shared=False)
        for name, content in files.items():
            parts = PurePosixPath(name).parts
            if not parts or ".." in parts or name.startswith("/") or not name.isprintable():
                raise Permanent(f"file {name!r} leaves the task's folder: use a relative path")
            for depth in range(1, len(parts)):
                self._make(self.files.joinpath(*parts[:depth]))
            self._write(self.files.joinpath(*parts), content, shared=self._shared)

    def read_result(self) -> bytes:
        """What the task left in its result file, one byte more than allowed at most."""
        with contextlib.suppress(OSError):
            handle = os.open(self.result, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(handle, "rb") as file:
                if stat.S_ISREG(os.fstat(handle).st_mode):  # a pipe would never end
                    return file.read(RESULT_BYTES + 1)
        return b""

    def clear(self) -> None:
        """Remove the task's files and its result; what an engine keeps beside them stays."""
        shutil.rmtree(self.files, ignore_errors=True)
        self.result.unlink(missing_ok=True)

    def forget(self) -> None:
        """Remove the folder and all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _make(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        folder.chmod(0o777 if self._shared else 0o700)

    @staticmethod
    def _write(file: Path, content: bytes, *, shared: bool) -> None:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as opened:
            os.fchmod(handle, 0o666 if shared else 0o600)
            opened.write(content)


def variables(own: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """All variables: the given ones, then the task's own, each expanded by those before it."""
    known = dict(given)
    for name, value in own.items():
        if name and "=" not in name:  # a label may have such a name, a variable cannot
            known[name] = expand(value, known)
    return known
