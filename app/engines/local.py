"""What the engines of this machine share: a folder for each task, and a supervisor below them all.

What the supervisor starts for a task, and how its end is read, is for each engine to say.
"""

import asyncio
import contextlib
import os
import shutil
import stat
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from app import boundaries
from app.engines.contract import RESULT_BYTES, Ended, Work
from app.engines.jobs import Command, Jobs
from app.jobconfig.env import expand


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
            OSError: a file cannot be written; its `filename` says which.
        """
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._make(self.files)
        self._write(self.result, b"", shared=self._shared)
        if private:
            self._write(self.private, private.encode(), shared=False)
        for name, content in files.items():
            for folder in reversed(PurePosixPath(name).parents):
                self._make(self.files / folder)
            self._write(self.files / name, content, shared=self._shared)

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

    def _make(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        folder.chmod(0o777 if self._shared else 0o700)

    @staticmethod
    def _write(file: Path, content: bytes, *, shared: bool) -> None:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as opened:
            os.fchmod(handle, 0o666 if shared else 0o600)
            opened.write(content)


class LocalEngine(Jobs, ABC):
    """An engine whose tasks run below one folder of this machine."""

    has_secrets = False

    async def launch(self, key: str, work: Work) -> Ended:
        """See `Engine.launch`."""
        folder = self._of(key)
        command, private = self._command(folder, work)
        if not self.is_known(key):
            try:
                await asyncio.to_thread(folder.lay_out, work.files, private)
            except OSError as error:
                return Ended(None, "create", f"{error.filename}: {error.strerror}")
            boundaries.reached("files written")
        ended = await self.start(key, command)
        return await self._settled(key, ended) or ended

    async def attach(self, key: str) -> Ended | None:
        """See `Engine.attach`."""
        return await self._settled(key, await self.rejoin(key))

    def clear(self, key: str) -> None:
        """See `Engine.clear`."""
        self._of(key).clear()

    def forget(self, key: str) -> None:
        """See `Engine.forget`."""
        shutil.rmtree(self._folder / key, ignore_errors=True)

    def _of(self, key: str) -> Folder:
        return Folder(self._folder / key)

    @abstractmethod
    def _command(self, folder: Folder, work: Work) -> tuple[Command, str]:
        """What the supervisor is to start, and what that finds in the folder's private file.

        Raises:
            Permanent: it cannot run here.
        """

    @abstractmethod
    async def _settled(self, key: str, ended: Ended | None) -> Ended | None:
        """How the task ended, now that what the supervisor started has (None: it has gone)."""


def variables(own: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """All variables: the given ones, then the task's own, each expanded by those before it."""
    known = dict(given)
    for name, value in own.items():
        if name and "=" not in name:  # a label may have such a name, a variable cannot
            known[name] = expand(value, known)
    return known
