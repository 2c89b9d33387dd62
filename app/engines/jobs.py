"""The client of the supervisor: commands under a key, found again by whichever service comes next.

What a command is for, and what its folder holds beside its output, is the engines' business.
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from app import boundaries
from app.clock import Clock
from app.engines import spool, supervisor
from app.engines.contract import Ended, Output
from app.errors import Permanent, Temporary

PROGRAM = supervisor.__name__

_START_SECONDS = 10.0
_LONGEST_LINE = 1 << 24
_INTERRUPTED = Ended(None, "interrupted", "its supervisor has gone, or could not save its end")


@dataclass(frozen=True, slots=True)
class Command:
    """What to start; `deadline` is in seconds.

    `ender` is a command that ends what the process group's own end does not end.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str
    deadline: float
    ender: tuple[str, ...] = ()


class Jobs:
    """The commands of one folder, each in `FOLDER/KEY`; needs Linux.

    The supervisor is found, or started, when it is first needed.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        if not sys.platform.startswith("linux"):
            raise Permanent(f"jobs need Linux, this is {sys.platform}")
        self._folder = folder.resolve()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._clock = clock
        self._running: dict[str, asyncio.Event] = {}  # each is set at its job's end
        self._cancelled: set[str] = set()
        self._connecting = asyncio.Lock()
        self._writer: asyncio.StreamWriter | None = None
        self._listening: asyncio.Task[None] | None = None

    def is_known(self, key: str) -> bool:
        """Whether something was started under the key."""
        return (self._folder / key / "job.json").exists()

    async def start(self, key: str, command: Command) -> Ended:
        """Run the command, once however often it is asked, and wait for its end."""
        await self._connect()
        if key not in self._running and not self.is_known(key):
            self._running[key] = asyncio.Event()
            await self._send({"launch": key, **asdict(command)})
        return await self._wait(key) or _INTERRUPTED

    async def restart(self, key: str, command: Command) -> Ended:
        """Run another command under a key whose first one has ended."""
        for name in ("job.json", "exit.json", "output"):
            (self._folder / key / name).unlink(missing_ok=True)
        return await self.start(key, command)

    async def rejoin(self, key: str) -> Ended | None:
        """Wait for what was started; None when its supervisor has gone, and it with it."""
        await self._connect()
        return await self._wait(key)

    async def cancel(self, key: str) -> None:
        """See `Engine.cancel`; what is about to start is ended as soon as it has."""
        self._cancelled.add(key)
        if key in self._running:
            await self._send({"cancel": key})

    def logs(self, key: str) -> Output:
        """See `Engine.logs`."""
        return Output(*spool.read_output(str(self._folder / key / "output")))

    async def close(self) -> None:
        """See `Engine.close`."""
        if self._writer:
            self._writer.close()

    async def _wait(self, key: str) -> Ended | None:
        try:
            if key in self._cancelled:
                await self._send({"cancel": key})
            if ended := self._running.get(key):
                await ended.wait()
        finally:
            self._cancelled.discard(key)
        if found := self._read(key, "exit.json"):
            boundaries.reached("exit seen")
            return Ended(**found)
        self._end_orphan(key)
        return None

    async def _send(self, message: dict[str, Any]) -> None:
        if self._writer is None:
            raise Temporary("the supervisor has gone")
        self._writer.write(json.dumps(message).encode() + b"\n")
        with contextlib.suppress(ConnectionError):  # its end is told by the listening task
            await self._writer.drain()

    async def _connect(self) -> None:
        """Find the data folder's supervisor, or start it."""
        async with self._connecting:
            if self._writer:
                return
            # Through an open folder, for a socket's own path may have 107 bytes at most.
            handle = os.open(self._folder, os.O_PATH | os.O_DIRECTORY)
            try:
                path = f"/proc/self/fd/{handle}/supervisor.sock"
                reader, self._writer, hello = await self._reach(path)
            finally:
                os.close(handle)
            self._running = {key: asyncio.Event() for key in json.loads(hello)["running"]}
            self._listening = asyncio.create_task(self._listen(reader), name="supervisor")

    async def _reach(self, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]:
        started: subprocess.Popen[bytes] | None = None
        for _ in range(int(_START_SECONDS / 0.01)):
            with contextlib.suppress(FileNotFoundError, ConnectionError):
                reader, writer = await asyncio.open_unix_connection(path, limit=_LONGEST_LINE)
                if hello := await reader.readline():  # else it was just about to end
                    if started:
                        started.returncode = 0  # it outlives us: nobody is to wait for its end
                    return reader, writer, hello
                writer.close()
            if started is None or started.poll() is not None:
                started = self._start()
            await self._clock.sleep(0.01)
        raise Permanent(f"the supervisor of {self._folder} does not start")

    def _start(self) -> subprocess.Popen[bytes]:
        with (self._folder / "supervisor.log").open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-P", "-s", "-S", "-m", PROGRAM, str(self._folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PYTHONPATH": str(Path(__file__).parents[2])},
                start_new_session=True,
            )

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        """Hear of ends until the supervisor itself ends."""
        try:
            with contextlib.suppress(ConnectionError):  # as good as its end
                while (line := await reader.readline()).endswith(b"\n"):
                    if ended := self._running.pop(json.loads(line)["ended"], None):
                        ended.set()
        finally:
            if self._writer:
                self._writer.close()
            self._writer = None
            while self._running:
                self._running.popitem()[1].set()

    def _read(self, key: str, name: str) -> dict[str, Any]:
        """What the supervisor saved; nothing when it did not get that far."""
        with contextlib.suppress(OSError, ValueError):
            return dict(json.loads((self._folder / key / name).read_text()))
        return {}

    def _end_orphan(self, key: str) -> None:
        """End a job whose supervisor is gone: nobody could tell how it ends."""
        job = self._read(key, "job.json")
        pid = job.get("pid", 0)
        if pid and supervisor.start_time(pid) == job.get("started"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
