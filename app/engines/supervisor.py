"""The supervisor: a small program of its own that owns all jobs of a data folder.

It outlives the service, keeps their output (bounded), ends them at their deadline, and saves their
exit. Beside the standard library it imports only the form of the output file.

Run as `python -m app.engines.supervisor FOLDER`, an absolute path. The service, of which there is
one at a time, connects to FOLDER/supervisor.sock and sends JSON lines: {"launch": key, "argv",
"env", "cwd", "deadline", "ender"} or {"cancel": key}. It gets {"running": [keys]} at once and
{"ended": key} for each job. Beside a job's output lie `job.json` (pid and start time of its process
group) and, when it has ended, `exit.json`.
"""

import contextlib
import fcntl
import functools
import json
import os
import resource
import selectors
import signal
import socket
import subprocess
import sys
import time
from typing import IO, Any, cast

from app.engines.spool import OutputFile

KILL_SECONDS = 5.0
"""Between the polite end of a job and the certain one."""

_CHUNK = 1 << 16
_ROOM = " " * 4096
"""For a job's exit, kept free from its start: blanks behind it mean nothing."""

_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_FILE_LIMITS = resource.getrlimit(resource.RLIMIT_NOFILE)
"""What jobs get; the supervisor itself takes all it may."""


def reached(name: str) -> None:
    """A named moment for crash tests, as in `app.boundaries`; does nothing."""


def start_time(pid: int) -> str:
    """When the process began, in clock ticks since boot; empty when there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - pathlib doubles the start-up time
            return file.read().rpartition(b")")[2].split()[19].decode()
    except (OSError, IndexError):
        return ""


class Job:
    """One process group, its output pipe and its deadline; its files are in the folder `place`.

    Raises:
        OSError, ValueError, SubprocessError: it cannot be started.
    """

    def __init__(self, place: str, spec: dict[str, Any]) -> None:
        self.key, self.cause, self._place, self._spec = spec["launch"], "run", place, spec
        self.ends_at = time.monotonic() + float(spec["deadline"])
        with contextlib.ExitStack() as unless_started:
            self._output = OutputFile(f"{place}/output")
            unless_started.callback(self._output.close)
            self.process = subprocess.Popen(  # noqa: S603 - what the task asks for
                spec["argv"],
                env=spec["env"],
                cwd=spec["cwd"],
                bufsize=0,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                process_group=0,
                preexec_fn=functools.partial(_introduce, place, os.getpid()),  # noqa: PLW1509 - no threads here
            )
            unless_started.pop_all()
        self.pipe = cast("IO[bytes]", self.process.stdout)
        os.set_blocking(self.pipe.fileno(), False)

    def read(self) -> bool:
        """Take what the job has printed; False when no more will come."""
        while data := _take(self.pipe.fileno()):
            with contextlib.suppress(OSError):  # a full disk costs output, not the job
                self._output.append(data)
        return data is None

    def end(self, cause: str) -> None:
        """Ask the group to end; the next call, after a grace, makes it."""
        polite = self.cause == "run"
        self.cause = cause if polite else self.cause
        self.ends_at = time.monotonic() + KILL_SECONDS
        self._signal(signal.SIGTERM if polite else signal.SIGKILL)

    def finish(self, code: int) -> None:
        """Save how it ended; what it left running ends with it, as in a container."""
        reached("child ended")
        self._signal(signal.SIGKILL)
        if self.cause != "run" and self._spec["ender"]:  # of what is outside of the group
            with contextlib.suppress(OSError):
                subprocess.Popen(self._spec["ender"], env=self._spec["env"])  # noqa: S603 - ours
        self.read()
        self.pipe.close()
        self._output.close()
        known = {one.value: one.name for one in signal.Signals}  # most real-time signals have none
        detail = f"ended by signal {known.get(-code, -code)}" if code < 0 else ""
        _save_exit(self._place, code if code >= 0 else 128 - code, self.cause, detail)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)


def _introduce(place: str, supervisor: int) -> None:
    """In the child, before it becomes the job: nothing runs that nobody could find and end."""
    resource.setrlimit(resource.RLIMIT_NOFILE, _FILE_LIMITS)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDS)
    reached("forked")
    _save(f"{place}/job.json", {"pid": os.getpid(), "started": start_time(os.getpid())})
    if os.getppid() != supervisor:  # who looked for this job after that had gone saw no pid
        os._exit(127)


def _take(file: int) -> bytes | None:
    """What has come, a chunk at most: None when nothing has yet, empty when nothing will."""
    try:
        return os.read(file, _CHUNK)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def _save(path: str, value: dict[str, Any]) -> None:
    """Write a file that is there whole or not at all."""
    _write(path + ".part", json.dumps(value))
    os.rename(path + ".part", path)  # noqa: PTH104 - as above


def _write(path: str, text: str) -> None:
    """Write over what a file begins with, which takes no more of a full disk."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)


def _save_exit(place: str, code: int, cause: str, detail: str) -> None:
    with contextlib.suppress(OSError):  # not saved, the job counts as interrupted
        _save(f"{place}/exit.json", {"code": code, "cause": cause, "detail": detail})


class Supervisor:
    """The loop: the service, pipes, children and deadlines, in one thread."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._selector = selectors.DefaultSelector()
        self._jobs: dict[str, Job] = {}
        self._service: socket.socket | None = None
        self._unread = b""

    def run(self, listener: socket.socket, wakeup: int) -> None:
        """Serve until there is neither a job nor a service."""
        self._selector.register(listener, selectors.EVENT_READ, lambda: self._welcome(listener))
        self._selector.register(wakeup, selectors.EVENT_READ, lambda: self._reap(wakeup))
        while True:
            ready = self._selector.select(self._patience())
            if not (ready or self._jobs or self._service):
                return
            for key, _ in ready:
                key.data()
            now = time.monotonic()
            for job in [one for one in self._jobs.values() if one.ends_at <= now]:
                job.end("timeout")

    def _patience(self) -> float | None:
        """Seconds to the next deadline; without anything to do, to the end."""
        if self._jobs:
            return max(0.0, min(job.ends_at for job in self._jobs.values()) - time.monotonic())
        return None if self._service else KILL_SECONDS

    def _welcome(self, listener: socket.socket) -> None:
        """A new service: what the old one still asked for comes first."""
        self._serve()
        self._drop()
        self._service, _ = listener.accept()
        self._service.settimeout(KILL_SECONDS)  # to be written to; reading never waits
        self._selector.register(self._service, selectors.EVENT_READ, self._serve)
        self._tell({"running": [*self._jobs]})

    def _serve(self) -> None:
        """Take and do what the service asks."""
        if not self._service:  # gone while its turn came
            return
        while data := _take(self._service.fileno()):
            self._unread += data
        *lines, self._unread = self._unread.split(b"\n")
        if data is not None:
            self._drop()
        for line in lines:
            self._do(json.loads(line))

    def _do(self, request: dict[str, Any]) -> None:
        if "launch" in request:
            self._launch(request["launch"], request)
        elif job := self._jobs.get(request["cancel"]):
            job.end("cancelled")

    def _launch(self, key: str, spec: dict[str, Any]) -> None:
        place = f"{self._folder}/{key}"
        try:
            os.close(os.open(f"{place}/job.json", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            return  # launched before: at most once, whoever asks
        try:
            _write(f"{place}/exit.json.part", _ROOM)
            job = self._jobs[key] = Job(place, spec)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            _save_exit(place, 127, "start", _reason(error))
            self._tell({"ended": key})
        else:
            self._selector.register(job.pipe, selectors.EVENT_READ, lambda: self._read(job))

    def _read(self, job: Job) -> None:
        if job.key in self._jobs and not job.read():
            self._selector.unregister(job.pipe)

    def _reap(self, wakeup: int) -> None:
        """Some children ended."""
        os.read(wakeup, _CHUNK)
        for job in [*self._jobs.values()]:
            if (code := job.process.poll()) is not None:
                with contextlib.suppress(KeyError):  # its output may have ended before
                    self._selector.unregister(job.pipe)
                job.finish(code)
                del self._jobs[job.key]
                self._tell({"ended": job.key})

    def _tell(self, message: dict[str, Any]) -> None:
        if not self._service:
            return
        try:
            self._service.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            self._drop()

    def _drop(self) -> None:
        if self._service:
            self._selector.unregister(self._service)
            self._service.close()
        self._service, self._unread = None, b""


def _reason(error: Exception) -> str:
    """Why a job could not be started."""
    match error:
        case OSError(filename=str(file)):
            return f"{file}: {error.strerror}"
        case subprocess.SubprocessError():
            return "what it is found by cannot be saved: is the disk full?"
    return str(error)


def main(folder: str) -> None:
    """Own the folder's jobs, unless another supervisor does."""
    os.chdir(folder)
    resource.setrlimit(resource.RLIMIT_NOFILE, (_FILE_LIMITS[1], _FILE_LIMITS[1]))
    lock = os.open("supervisor.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return
    wakeup, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    # Whoever ends the service must not end its jobs; a child lets them in when it is ready.
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
    with contextlib.suppress(FileNotFoundError):
        os.unlink("supervisor.sock")  # noqa: PTH108 - as above
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("supervisor.sock")
    listener.listen()
    Supervisor(folder).run(listener, wakeup)


if __name__ == "__main__":
    main(sys.argv[1])
