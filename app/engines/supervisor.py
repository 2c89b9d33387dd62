"""The supervisor: a small program of its own that owns all jobs of a data folder.

It outlives the service, keeps their output (bounded), ends them at their deadline, and saves their
exit. Beside the standard library it imports only the form of the output file.

Run as `python -m app.engines.supervisor FOLDER`. The service connects to FOLDER/supervisor.sock
and sends JSON lines: {"launch": key, "argv", "env", "cwd", "deadline", "ender"} or {"cancel": key}.
It gets {"running": [keys]} at once and {"ended": key} for each job. Beside a job's output lie
`job.json` (pid and start time of its process group) and, when it has ended, `exit.json`.
"""

import contextlib
import fcntl
import json
import os
import resource
import selectors
import signal
import socket
import sys
import time
from typing import Any

from app.engines.spool import OutputFile

KILL_SECONDS = 5.0
"""Between the polite end of a job and the certain one."""

_CHUNK = 1 << 16
_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


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
    """One process group, its output pipe and its deadline.

    Through `channel` the child is told to begin, and tells why it could not.
    """

    def __init__(self, key: str, spec: dict[str, Any], file_limits: tuple[int, int]) -> None:
        self.key, self.cause = key, "run"
        self.ender, self.env = spec["ender"], spec["env"]
        self.ends_at = time.monotonic() + float(spec["deadline"])
        with contextlib.ExitStack() as ours, contextlib.ExitStack() as childs:
            self.output = ours.enter_context(contextlib.closing(OutputFile(f"{key}/output")))
            self.pipe, writer = os.pipe()
            ours.callback(os.close, self.pipe)
            childs.callback(os.close, writer)
            os.set_blocking(self.pipe, False)
            self.channel, gate = socket.socketpair()
            ours.enter_context(self.channel)
            childs.enter_context(gate)
            self.pid = os.fork()
            if self.pid == 0:
                self.channel.close()
                resource.setrlimit(resource.RLIMIT_NOFILE, file_limits)
                _become(spec, gate, writer)
            os.setpgid(self.pid, self.pid)
            reached("forked")
            # The child runs nothing before its pid is saved: if we die here, it ends as well.
            _save(f"{key}/job.json", {"pid": self.pid, "started": start_time(self.pid)})
            self.channel.send(b"g")
            self.close = ours.pop_all().close

    def read(self) -> bool:
        """Take what the job has printed; False when no more will come."""
        while data := _take(self.pipe):
            with contextlib.suppress(OSError):  # a full disk costs output, not the job
                self.output.append(data)
        return data is None

    def end(self, cause: str) -> None:
        """Ask the group to end; the next call, after a grace, makes it."""
        polite = self.cause == "run"
        self.cause = cause if polite else self.cause
        self.ends_at = time.monotonic() + KILL_SECONDS
        self.signal(signal.SIGTERM if polite else signal.SIGKILL)

    def signal(self, number: int) -> None:
        """Signal the whole group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def finish(self, status: int) -> None:
        """Save how it ended; what it left running ends with it, as in a container."""
        reached("child ended")
        self.signal(signal.SIGKILL)
        if self.cause != "run" and self.ender:  # what is not of the group, such as a container
            with contextlib.suppress(OSError):
                os.posix_spawn(self.ender[0], self.ender, self.env)
        self.read()
        # Ended before it heard that it may begin, a child resets the channel: `recv` would raise.
        detail = (_take(self.channel.fileno()) or b"").decode(errors="replace")
        self.close()
        code = os.waitstatus_to_exitcode(status)
        cause = "start" if detail else self.cause
        with contextlib.suppress(OSError):  # not saved, the job counts as interrupted
            _save(f"{self.key}/exit.json", {"code": code, "cause": cause, "detail": detail})


def _become(spec: dict[str, Any], gate: socket.socket, output: int) -> None:
    """In the child: wait for the gate, then be the job. Never returns."""
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGPIPE, *_ENDS):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDS)
        if gate.recv(1) != b"g":
            return
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (output, 1), (output, 2)):
            os.dup2(source, target)
        at_fault = spec["cwd"]
        try:
            os.chdir(at_fault)
            at_fault = spec["argv"][0]
            os.execvpe(at_fault, spec["argv"], spec["env"])
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            gate.send(f"{at_fault}: {reason}".encode()[:_CHUNK])
    finally:
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
    with open(path + ".part", "w") as file:  # noqa: PTH123 - as above
        json.dump(value, file)
    os.rename(path + ".part", path)  # noqa: PTH104 - as above


class Supervisor:
    """The loop: connections, pipes, children and deadlines, in one thread."""

    def __init__(self, file_limits: tuple[int, int]) -> None:
        self._file_limits = file_limits
        self._selector = selectors.DefaultSelector()
        self._jobs: dict[int, Job] = {}
        self._clients: dict[socket.socket, bytearray] = {}

    def run(self, listener: socket.socket, wakeup: int) -> None:
        """Serve until there is neither a job nor a service."""
        self._selector.register(listener, selectors.EVENT_READ, lambda: self._welcome(listener))
        self._selector.register(wakeup, selectors.EVENT_READ, lambda: self._reap(wakeup))
        while True:
            ready = self._selector.select(self._patience())
            if not ready and self._is_idle():
                return
            for key, _ in ready:
                key.data()
            now = time.monotonic()
            for job in [one for one in self._jobs.values() if one.ends_at <= now]:
                job.end("timeout")

    def _is_idle(self) -> bool:
        return not self._jobs and not self._clients

    def _patience(self) -> float | None:
        """Seconds to the next deadline; without anything to do, to the end."""
        if self._is_idle():
            return KILL_SECONDS
        ends = [job.ends_at for job in self._jobs.values()]
        return max(0.0, min(ends) - time.monotonic()) if ends else None

    def _welcome(self, listener: socket.socket) -> None:
        """A new service: what the old one still asked for comes first."""
        for old in list(self._clients):
            self._serve(old)
        client, _ = listener.accept()
        client.settimeout(0.0)
        self._clients[client] = bytearray()
        self._selector.register(client, selectors.EVENT_READ, lambda: self._serve(client))
        self._tell(client, {"running": [job.key for job in self._jobs.values()]})

    def _serve(self, client: socket.socket) -> None:
        """Take and do what a service asks."""
        if client not in self._clients:  # gone while its turn came
            return
        waiting = self._clients[client]
        while data := _take(client.fileno()):
            waiting += data
        if data is not None:
            self._drop(client)
        *lines, rest = waiting.split(b"\n")
        waiting[:] = rest
        for line in lines:
            self._do(json.loads(line))

    def _do(self, request: dict[str, Any]) -> None:
        if "cancel" in request:
            for job in self._jobs.values():
                if job.key == request["cancel"]:
                    job.end("cancelled")
            return
        key = request["launch"]
        try:
            os.close(os.open(f"{key}/job.json", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            return  # launched before: at most once, whoever asks
        try:
            job = Job(key, request, self._file_limits)
        except OSError as error:  # no more processes, files or space
            with contextlib.suppress(OSError):
                _save(f"{key}/exit.json", {"code": 127, "cause": "start", "detail": str(error)})
            self._tell_all(key)
            return
        self._jobs[job.pid] = job
        self._selector.register(job.pipe, selectors.EVENT_READ, lambda: self._read(job))

    def _read(self, job: Job) -> None:
        if job.pid in self._jobs and not job.read():
            self._selector.unregister(job.pipe)

    def _reap(self, wakeup: int) -> None:
        """Some children ended."""
        os.read(wakeup, _CHUNK)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            job = self._jobs.pop(pid, None)
            if job:  # else it never got through its gate
                with contextlib.suppress(KeyError):
                    self._selector.unregister(job.pipe)
                job.finish(status)
                self._tell_all(job.key)

    def _tell_all(self, ended: str) -> None:
        for client in list(self._clients):
            self._tell(client, {"ended": ended})

    def _tell(self, client: socket.socket, message: dict[str, Any]) -> None:
        try:
            client.settimeout(KILL_SECONDS)
            client.sendall(json.dumps(message).encode() + b"\n")
            client.settimeout(0.0)
        except OSError:
            self._drop(client)

    def _drop(self, client: socket.socket) -> None:
        if client in self._clients:
            self._selector.unregister(client)
            del self._clients[client]
            client.close()


def main(folder: str) -> None:
    """Own the folder's jobs, unless another supervisor does."""
    os.chdir(folder)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits[1], limits[1]))
    lock = os.open("supervisor.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return
    wakeup, writer = os.pipe()
    os.set_blocking(writer, False)
    os.set_blocking(wakeup, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    # Whoever ends the service must not end its jobs; a child lets them in when it is ready.
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
    with contextlib.suppress(FileNotFoundError):
        os.unlink("supervisor.sock")  # noqa: PTH108 - as above
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("supervisor.sock")
    listener.listen()
    Supervisor(limits).run(listener, wakeup)


if __name__ == "__main__":
    main(sys.argv[1])
