"""The process engine on a folder of the test, and another one as a restarted service has it."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app.clock import Clock
from app.engines.contract import Ended, Work
from app.engines.process import ProcessEngine

OURS = {"PATH": "/usr/bin:/bin", "HOME": "/home/x", "LANG": "C.UTF-8", "TZ": "UTC"}
FOREIGN = {"KEPTN_API_TOKEN": "planted", "DOOR_TOKEN": "planted", "LD_PRELOAD": "", "USER": "x"}


class Yard:
    """A folder with engines on it; `engine` is the one of the running service."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = uuid.uuid4().hex
        self.engine = self.restarted()

    @property
    def place(self) -> Path:
        """Where the job's files are."""
        return self.folder / self.key

    def restarted(self) -> ProcessEngine:
        """A new engine, as a service has it after a restart."""
        self.engine = ProcessEngine(self.folder, Clock(), OURS | FOREIGN)
        return self.engine

    async def run(self, *cmd: str, key: str = "", **more: Any) -> Ended:
        """Launch a command and wait for its end."""
        given = {"image": "alpine", "args": (), "env": {}, "working_dir": "", "deadline": 60.0}
        return await self.engine.launch(key or self.key, Work(cmd=cmd, **{**given, **more}))

    def begin(self, *cmd: str, key: str = "", **more: Any) -> "asyncio.Task[Ended]":
        """Launch a command and go on."""
        return asyncio.create_task(self.run(*cmd, key=key, **more))

    def text(self, key: str = "") -> str:
        """What a job has printed."""
        return self.engine.logs(key or self.key).text()

    def supervisor(self) -> int:
        """The process id of the supervisor."""
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and str(self.folder) in _words(entry):
                return int(entry.name)
        raise AssertionError("no supervisor")


def _words(entry: Path) -> list[str]:
    try:
        return (entry / "cmdline").read_text().split("\0")
    except OSError:
        return []


def is_alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def shell(script: str) -> tuple[str, str, str]:
    """A command that runs a script; no `$(` or `$$` in it is expanded before the shell sees it."""
    return "sh", "-c", script.replace("$", "$$")


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose supervisor serves many tests."""
    return tmp_path_factory.mktemp("shared") / "jobs"


@pytest.fixture
async def yard(shared: Path) -> AsyncIterator[Yard]:
    yard = Yard(shared)
    yield yard
    await yard.engine.close()


@pytest.fixture
async def own_yard(tmp_path: Path) -> AsyncIterator[Yard]:
    """One whose supervisor may be killed."""
    yard = Yard(tmp_path / "jobs")
    yield yard
    await yard.engine.close()
