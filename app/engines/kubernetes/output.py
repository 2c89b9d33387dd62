"""What containers print, kept in files that outlive their pods; when it is read, others say."""

import asyncio
import contextlib
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from app.engines import spool
from app.engines.contract import Output
from app.engines.kubernetes import names
from app.engines.kubernetes.client import Cluster
from app.engines.kubernetes.port import Kind, Rejected, Where
from app.errors import Temporary
from app.patience import insist

MOST_BYTES, TAIL_LINES = 32 * 1024 * 1024, 10_000
"""Read of one log, and in addition of a longer one; a node keeps 10 MiB unless told otherwise."""

FOLLOWED, ASKED_SECONDS = 50, 30.0
"""Logs followed at the same time, and for how long one is after somebody asked for it."""

KEEP_SECONDS = 30.0


class Outputs:
    """The output files below a folder, and the logs that are followed at the moment."""

    def __init__(self, folder: Path, cluster: Cluster) -> None:
        self._folder, self._cluster, self._clock = folder, cluster, cluster.clock
        self._asked: dict[str, float] = {}
        self._following: dict[str, asyncio.Task[None]] = {}
        for place in (folder, folder / spool.WANTED):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)

    def read(self, key: str) -> Output:
        """What is kept."""
        return Output(*spool.read_output(str(self._folder / key / "output")))

    def forget(self, key: str) -> None:
        """Remove what is kept."""
        shutil.rmtree(self._folder / key, ignore_errors=True)

    def asked(self) -> list[str]:
        """The launch keys that another process, `firstmate logs -f`, has asked to follow since."""
        asked = list((self._folder / spool.WANTED).glob("*"))
        for mark in asked:
            mark.unlink(missing_ok=True)
        return [mark.name for mark in asked]

    async def keep(self, key: str, namespace: str, pod: str) -> bool:
        """Read the whole log; False when it cannot be read within half a minute."""
        await self.stop(key)
        # Refused when gone with its pod, or never begun; a full disk costs output, no outcome.
        with contextlib.suppress(Temporary, Rejected, OSError):
            copy = partial(self._copy, key, namespace, pod, {})
            return await insist(copy, self._clock, KEEP_SECONDS)
        return False

    def follow(self, key: str, namespace: str, pod: str) -> None:
        """Keep the log as it grows, while somebody goes on asking."""
        self._asked[key] = self._clock.tick()
        if key not in self._following and len(self._following) < FOLLOWED:
            task = asyncio.create_task(self._follow(key, namespace, pod), name=f"log {key}")
            self._following[key] = task
            task.add_done_callback(lambda _: self._following.pop(key))

    async def stop(self, key: str) -> None:
        """Follow this log no more."""
        self._asked.pop(key, None)
        if task := self._following.get(key):
            task.cancel()
            await asyncio.wait([task])

    async def close(self) -> None:
        """Follow nothing any more."""
        for key in list(self._following):
            await self.stop(key)

    async def _follow(self, key: str, namespace: str, pod: str) -> None:
        with contextlib.suppress(Temporary, Rejected, OSError):  # who asks again begins again
            await self._copy(key, namespace, pod, {"follow": "true"})

    async def _copy(self, key: str, namespace: str, pod: str, query: Mapping[str, str]) -> bool:
        """Write a log to its file from the start; of a very long one, its head and its tail."""
        where, file = Where(Kind.POD, namespace), self._folder / key / "output"
        query = {"container": names.job(key), "limitBytes": str(MOST_BYTES), **query}
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.closing(spool.OutputFile(str(file))) as kept:
            size = 0
            for more in ({}, {"tailLines": str(TAIL_LINES)}):
                log = self._cluster.log(where, pod, **query, **more)
                async with contextlib.aclosing(log) as chunks:
                    async for chunk in chunks:
                        kept.append(chunk)
                        size += len(chunk)
                        wanted_until = self._asked.get(key, 0.0) + ASKED_SECONDS
                        if "follow" in query and self._clock.tick() > wanted_until:
                            return False
                if size < MOST_BYTES:
                    break
        return True
