"""What the engines of this machine share: a folder for each task, and a supervisor below them all.

What the supervisor starts for a task, and how its end is read, is for each engine to say.
"""

import asyncio
from abc import ABC, abstractmethod
from pathlib import Path

from app import boundaries
from app.clock import Clock
from app.engines.contract import Ended, Output, Work
from app.engines.folder import Folder
from app.engines.jobs import Command, Jobs


class LocalEngine(ABC):
    """An engine whose tasks run below one folder of this machine; needs Linux."""

    has_secrets = False

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder.resolve()
        self._clock = clock
        self._jobs = Jobs(self._folder, clock)

    async def launch(self, key: str, work: Work) -> Ended:
        """See `Engine.launch`."""
        folder = self._of(key)
        command, private = self._command(folder, work)
        if not self._jobs.known(key):
            try:
                await asyncio.to_thread(folder.lay_out, work.files, private)
            except OSError as error:
                return Ended(None, "create", f"{error.filename}: {error.strerror}")
            boundaries.reached("files written")
        ended = await self._jobs.launch(key, command)
        return await self._settled(key, ended) or ended

    async def attach(self, key: str) -> Ended | None:
        """See `Engine.attach`."""
        return await self._settled(key, await self._jobs.attach(key))

    async def cancel(self, key: str) -> None:
        """See `Engine.cancel`."""
        await self._jobs.cancel(key)

    def logs(self, key: str) -> Output:
        """See `Engine.logs`."""
        return self._jobs.output(key)

    def clear(self, key: str) -> None:
        """See `Engine.clear`."""
        self._of(key).clear()

    def forget(self, key: str) -> None:
        """See `Engine.forget`."""
        self._of(key).forget()

    async def close(self) -> None:
        """See `Engine.close`."""
        await self._jobs.close()

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
