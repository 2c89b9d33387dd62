"""What the engines of this machine share: a folder for each task, and a supervisor below them all.

What the supervisor starts for a task, and how its end is read, is for each engine to say.
"""

import asyncio
from abc import ABC, abstractmethod

from app import boundaries
from app.engines.contract import Ended, Work
from app.engines.folder import Folder
from app.engines.jobs import Command, Jobs


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
        self._of(key).forget()

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
