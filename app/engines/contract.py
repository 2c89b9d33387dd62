"""What an engine takes, gives back and promises; no engine lives here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Protocol

from app.errors import Permanent
from app.jobconfig.schema import Task

MOUNT = "/keptn"
"""Where a task expects its files."""

RESULT_FILE = "/dev/termination-log"
"""Where a container tells its result."""

OOM_KILLED = "OOMKilled: it took more memory than its limit"

RESULT_BYTES = 4096
"""The largest result file; Kubernetes keeps no more of a termination message."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where work comes from, for those who look for what an engine started.

    `action` and `task` are an index from 0 and a name.
    """

    context: str = ""
    event_id: str = ""
    commit: str = ""
    config_hash: str = ""
    action: tuple[int, str] = (0, "")
    task: tuple[int, str] = (0, "")


@dataclass(frozen=True, slots=True)
class Work:
    """One container's worth of work: a task with what an event, its files and an attempt give it.

    `env` has all variables but those of Secrets that the engine finds itself; `files` are to stand
    below `/keptn`, by their relative path. `deadline` is in seconds.

    Raises:
        Permanent: the path of a file leaves the task's folder.
    """

    task: Task
    env: Mapping[str, str]
    deadline: float
    files: Mapping[str, bytes] = field(default_factory=dict)
    origin: Origin = field(default_factory=Origin)

    def __post_init__(self) -> None:
        """Refuse a file that is none, or would stand elsewhere."""
        for name in self.files:
            parts = PurePosixPath(name).parts
            if not parts or ".." in parts or name.startswith("/") or not name.isprintable():
                raise Permanent(f"file {name!r} leaves the task's folder: use a relative path")


@dataclass(frozen=True, slots=True)
class Ended:
    """How the work ended: `cause` is run, create, start, timeout, cancelled or interrupted.

    `code` is its exit code where it had one, `detail` one line for people, `result` what stood in
    the file named by KEPTN_RESULT_FILE, up to `RESULT_BYTES` and one more.
    """

    code: int | None
    cause: str = "run"
    detail: str = ""
    result: bytes = b""

    @property
    def passed(self) -> bool:
        """Whether it ended by itself with exit code 0."""
        return self.code == 0 and self.cause == "run"


@dataclass(frozen=True, slots=True)
class Output:
    """What is kept of the work's output: `total` bytes were printed, `missing` cut from between."""

    head: bytes
    missing: int
    tail: bytes

    @property
    def total(self) -> int:
        """Bytes that were printed."""
        return len(self.head) + self.missing + len(self.tail)

    def text(self) -> str:
        """All that is kept, with a marker where bytes are missing."""
        marker = f"\n[... {self.missing} bytes cut ...]\n".encode() if self.missing else b""
        return (self.head + marker + self.tail).decode(errors="replace")


class Engine(Protocol):
    """A place where work runs and outlives the service."""

    name: str
    without_effect: frozenset[str]
    """The keys of a task that this engine cannot heed."""
    has_secrets: bool
    """Whether it finds the Secrets of a task itself; no value of them is in our hands then."""

    async def launch(self, key: str, work: Work) -> Ended:
        """Run the work under this key, once however often it is asked, and wait for its end.

        Raises:
            Permanent: it cannot run here; the text names the key at fault and the remedy.
        """

    async def attach(self, key: str) -> Ended | None:
        """Wait for what was launched under this key; None when there is nothing (left)."""

    async def cancel(self, key: str) -> None:
        """End the work; whoever waits for it hears of it."""

    def logs(self, key: str) -> Output:
        """What the work has printed so far."""

    def clear(self, key: str) -> None:
        """Remove the work's own files; its outcome is saved, its output stays."""

    def forget(self, key: str) -> None:
        """Remove all that is left of it."""

    async def close(self) -> None:
        """Let go; the work goes on."""
