"""What a crash consists of: when it comes, and who dies of it. Only the standard library is used.

Nobody is killed by name: a supervisor is found through its socket, a job through its saved pid.
"""

import contextlib
import json
import os
import signal
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ORDER = "crash.json"
"""In the data folder: how the supervisor, which gets no environment, learns what to do."""


@dataclass(frozen=True)
class Kill:
    """At the `nth` passing of boundary `at`, by a letter of kind `of` if one is named.

    `children` takes the supervisor and all jobs of the data folder along.
    """

    at: str
    of: str = ""
    nth: int = 1
    children: bool = False

    def __str__(self) -> str:
        passing = (f" of {self.of}" if self.of else "") + (" the second time" * (self.nth > 1))
        return f"killed at {self.at}{passing}{' with its children' * self.children}"

    def trigger(self, act: Callable[[], None]) -> Callable[[str, str], None]:
        """A function to be told of every passing and who passes; it acts once."""
        passed = Counter[str]()

        def reached(name: str, who: str) -> None:
            if name == self.at and self.of in who:
                passed[name] += 1
                if passed[name] == self.nth:
                    act()

        return reached


def kill(pid: int) -> None:
    """End a process, and return when it is dead."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        while _stat(pid)[:1] not in ([], ["Z"], ["X"]):
            time.sleep(0.001)


def kill_children(data_dir: Path) -> None:
    """End the supervisor of a data folder, then what it left."""
    if pid := _supervisor(data_dir / "jobs"):
        kill(pid)
    kill_jobs(data_dir / "jobs")


def kill_jobs(jobs: Path) -> None:
    """End the process groups of all jobs that still run."""
    for saved in jobs.glob("*/job.json"):
        with contextlib.suppress(ValueError, ProcessLookupError, FileNotFoundError):
            job = json.loads(saved.read_text())
            if job["started"] in _stat(job["pid"])[19:20]:
                os.killpg(job["pid"], signal.SIGKILL)


def _supervisor(jobs: Path) -> int:
    """The pid of whoever listens on the folder's socket, or 0."""
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(jobs / "supervisor.sock"))
        except OSError:
            return 0
        credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return int(struct.unpack("3i", credentials)[0])


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; empty when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
