"""An engine on a folder of the test, and another one as a restarted service has it.

The container engine runs on the stand-in, and for real where docker or podman answers.
"""

import asyncio
import os
import signal
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.clock import Clock
from app.engines.container import Cli, ContainerEngine, find_cli
from app.engines.contract import Ended, Engine
from app.engines.process import ProcessEngine
from tests import works
from tests.engines import stand_in

OURS = {"PATH": "/usr/bin:/bin", "HOME": "/home/x", "LANG": "C.UTF-8", "TZ": "UTC"}
FOREIGN = {"KEPTN_API_TOKEN": "planted", "DOOR_TOKEN": "planted", "LD_PRELOAD": "", "USER": "x"}
AMPLE = 4.0
"""A deadline by which a job has begun and spoken, also on a busy machine."""
REAL_IMAGE = os.environ.get("TEST_IMAGE", "docker.io/library/alpine:3")


class Yard:
    """A folder with engines on it; `engine` is the one of the running service.

    `cli` is the docker, podman or stand-in of a container engine.
    """

    engine: Engine

    def __init__(self, folder: Path, cli: Cli | None = None, image: str = "box:1") -> None:
        self.folder = folder
        self.cli = cli
        self.image = image
        self.key = uuid.uuid4().hex
        self.engine = self.restarted()

    @property
    def place(self) -> Path:
        """Where the job's files are."""
        return self.folder / self.key

    @property
    def files(self) -> Path:
        """What the job knows as /keptn."""
        return self.place / "keptn"

    def restarted(self) -> Engine:
        """A new engine, as a service has it after a restart."""
        self.engine = (
            ContainerEngine(self.cli, self.folder, Clock())
            if self.cli
            else ProcessEngine(self.folder, Clock(), OURS | FOREIGN)
        )
        return self.engine

    async def restart(self) -> None:
        """Let the old engine go and take a new one."""
        await self.engine.close()
        self.restarted()

    async def run(self, *cmd: str, key: str = "", **more: Any) -> Ended:
        """Launch a command and wait for its end."""
        given = works.work(cmd=cmd, **{"image": self.image, **more})
        return await self.engine.launch(key or self.key, given)

    def begin(self, *cmd: str, key: str = "", **more: Any) -> "asyncio.Task[Ended]":
        """Launch a command and go on."""
        return asyncio.create_task(self.run(*cmd, key=key, **more))

    def text(self, key: str = "") -> str:
        """What a job has printed."""
        return self.engine.logs(key or self.key).text()

    def has_ended(self) -> bool:
        """Whether the end is known to those who keep the job, whoever waits for it."""
        return (self.place / "exit.json").exists()

    def told(self, name: str) -> str:
        """What the job wrote into one of its files."""
        file = self.files / name
        return file.read_text() if file.exists() else ""

    def supervisor(self) -> int:
        """The process id of the supervisor."""
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and str(self.folder) in _words(entry):
                return int(entry.name)
        raise AssertionError("no supervisor")

    def kill_supervisor(self) -> None:
        """End it as nobody should."""
        os.kill(self.supervisor(), signal.SIGKILL)


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


def install_stand_in(folder: Path) -> Cli:
    """A `docker` on a PATH of its own, whose containers are in the folder."""
    program, state = stand_in.install(folder)
    return Cli(str(program), {"PATH": OURS["PATH"], "DOCKER_HOST": f"unix://{state}"})


def real_cli() -> Cli:
    """A docker or podman that answers; the test is skipped where there is none."""
    if cli := find_cli("", os.environ):
        return cli
    pytest.skip("neither docker nor podman answers on this machine")


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose supervisor serves many tests."""
    return tmp_path_factory.mktemp("shared") / "jobs"


@pytest.fixture
async def yard(shared: Path) -> AsyncIterator[Yard]:
    """The process engine."""
    yard = Yard(shared)
    yield yard
    await yard.engine.close()


@pytest.fixture(scope="session")
def stand_in_cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    """The stand-in; what it left running ends with the session."""
    cli = install_stand_in(tmp_path_factory.mktemp("stand-in"))
    yield cli
    stand_in.end_all(Path(cli.env["DOCKER_HOST"].removeprefix("unix://")))


@pytest.fixture
async def box_yard(tmp_path: Path, stand_in_cli: Cli) -> AsyncIterator[Yard]:
    """The container engine on the stand-in."""
    yard = Yard(tmp_path / "jobs", stand_in_cli)
    yield yard
    await yard.engine.close()


@pytest.fixture(params=["process", "box", "real", "kubernetes"])
async def any_yard(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Yard]:
    """Each engine in turn, on a folder whose supervisor may be killed."""
    folder = tmp_path / "jobs"
    if request.param == "kubernetes":
        from tests.kube.yard import in_cluster  # noqa: PLC0415 - its client is slow to import

        async with in_cluster(folder, request.function.__name__) as yard:
            yield yard
        return
    if request.param == "process":
        yard = Yard(folder)
    elif request.param == "box":
        yard = Yard(folder, request.getfixturevalue("stand_in_cli"))
    else:
        yard = Yard(folder, real_cli(), REAL_IMAGE)
    yield yard
    yard.engine.forget(yard.key)
    await yard.engine.close()
