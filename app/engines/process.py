"""The engine `process`: a task's command as a local process group, under a supervisor.

The supervisor is one program for all jobs of a data folder; it goes on when the service ends.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app import boundaries
from app.clock import Clock
from app.engines import spool, supervisor
from app.engines.contract import Ended, Output, Work
from app.errors import Permanent, Temporary
from app.jobconfig.env import expand

PROGRAM = supervisor.__name__
MOUNT = "/keptn"
INHERITED = ("PATH", "HOME", "LANG", "TZ")
"""All that a job gets of the service's own environment."""

_START_SECONDS = 10.0
_LONGEST_LINE = 1 << 24


class ProcessEngine:
    """Runs work on this machine; needs Linux."""

    name = "process"
    without_effect = frozenset(
        {"imagePullPolicy", "ttlSecondsAfterFinished", "annotations", "resources"}
        | {"securityContext", "namespace", "serviceAccount"}
    )

    def __init__(self, folder: Path, clock: Clock, environment: Mapping[str, str]) -> None:
        if not sys.platform.startswith("linux"):
            raise Permanent(f"the process engine needs Linux, this is {sys.platform}")
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._clock = clock
        self._inherited = {name: environment[name] for name in INHERITED if name in environment}
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._running: set[str] = set()
        self._connecting = asyncio.Lock()
        self._writer: asyncio.StreamWriter | None = None
        self._listening: asyncio.Task[None] | None = None

    async def launch(self, key: str, work: Work) -> Ended:
        """See `Engine.launch`."""
        request = self._request(key, work)
        await self._connect()
        self._running.add(key)
        return await self._wait(key, request)

    async def attach(self, key: str) -> Ended | None:
        """See `Engine.attach`."""
        await self._connect()
        if key in self._running or self._read(key, "exit.json"):
            return await self._wait(key, None)
        self._end_orphan(key)
        return None

    async def cancel(self, key: str) -> None:
        """See `Engine.cancel`."""
        if key in self._running:
            await self._send({"cancel": key})

    def logs(self, key: str) -> Output:
        """See `Engine.logs`."""
        return Output(*spool.read_output(str(self._folder / key / "output")))

    def clear(self, key: str) -> None:
        """See `Engine.clear`."""
        shutil.rmtree(self._folder / key / "keptn", ignore_errors=True)

    def forget(self, key: str) -> None:
        """See `Engine.forget`."""
        shutil.rmtree(self._folder / key, ignore_errors=True)

    async def close(self) -> None:
        """See `Engine.close`."""
        if self._listening:
            self._listening.cancel()
        if self._writer:
            self._writer.close()

    def _request(self, key: str, work: Work) -> dict[str, Any]:
        """What the supervisor is told; `/keptn` becomes the task's own folder."""
        if not work.cmd:
            raise Permanent(
                f"the image {work.image!r} without cmd has no meaning on the process engine, "
                "which has no images: add cmd to the task, or use a container engine"
            )
        mount = self._folder.resolve() / key / "keptn"
        mount.mkdir(parents=True, exist_ok=True)

        def local(text: str) -> str:
            inside = text == MOUNT or text.startswith(MOUNT + "/")
            return str(mount) + text[len(MOUNT) :] if inside else text

        env = {**self._inherited, "KEPTN_FILES_DIR": str(mount)}
        for name, value in work.env.items():
            if name and "=" not in name:  # a label may have such a name, a variable cannot
                env[name] = expand(local(value) if name in work.mounted_env else value, env)
        return {
            "launch": key,
            "argv": [local(expand(part, env)) for part in (*work.cmd, *work.args)],
            "env": env,
            "cwd": local(work.working_dir) or str(mount),
            "deadline": work.deadline,
        }

    async def _wait(self, key: str, request: dict[str, Any] | None) -> Ended:
        ended = asyncio.get_running_loop().create_future()
        self._waiting[key] = ended
        try:
            if request:
                await self._send(request)
            if not self._read(key, "exit.json"):
                await ended
        finally:
            del self._waiting[key]
            self._running.discard(key)
        boundaries.reached("exit seen")
        found = self._read(key, "exit.json")
        if found:
            return _ended(found)
        self._end_orphan(key)
        return Ended(None, "interrupted", "its supervisor was ended from outside")

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
            with _short_path(self._folder) as path:
                reader, self._writer, hello = await self._reach(path)
            self._running |= set(json.loads(hello)["running"])
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
            while (line := await reader.readline()).endswith(b"\n"):
                key = json.loads(line)["ended"]
                self._running.discard(key)
                self._release(key)
        except ConnectionError:
            pass  # as good as its end
        finally:
            if self._writer:
                self._writer.close()
            self._writer = None
            self._running.clear()
            for key in list(self._waiting):
                self._release(key)

    def _release(self, key: str) -> None:
        waiting = self._waiting.get(key)
        if waiting and not waiting.done():
            waiting.set_result(None)

    def _read(self, key: str, name: str) -> dict[str, Any]:
        try:
            found = json.loads((self._folder / key / name).read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _end_orphan(self, key: str) -> None:
        """End a job whose supervisor is gone: nobody could tell how it ends."""
        job = self._read(key, "job.json")
        pid = job.get("pid", 0)
        if pid and supervisor.start_time(pid) == job.get("started"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)


def _ended(found: Mapping[str, Any]) -> Ended:
    code, cause, detail = found["code"], found["cause"], found["detail"]
    if code < 0 and not detail:
        detail = f"ended by signal {signal.Signals(-code).name}"
    return Ended(code if code >= 0 else 128 - code, cause, detail)


@contextlib.contextmanager
def _short_path(folder: Path) -> Any:
    """The socket's path through an open folder: a socket's own path may have 107 bytes at most."""
    handle = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{handle}/supervisor.sock"
    finally:
        os.close(handle)
