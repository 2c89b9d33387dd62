"""The programs of the bench, each in a process of its own that is ended by its id.

What they do is theirs; here they are started, awaited and looked at from outside.
"""

import contextlib
import http.client
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from app.ledger import guard
from tests.crash import killing

ROOT = Path(__file__).parents[2]
_BARE = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
_PORTS = {"PORT": "0", "OPS_PORT": "0", "PLANE_PORT": "0"}


class Program:
    """`python ARGUMENTS`, from its first line on standard output until the block ends."""

    def __init__(self, *arguments: str, log: Path, **environment: str) -> None:
        self._log = log
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env={**_BARE, **environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert self._process.stdout
        self.said = self._process.stdout.readline().strip()
        """The first line; empty when the program ended without one."""
        if not self.said:
            raise RuntimeError(f"{arguments} did not start:\n{self.last_words}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._process.communicate()

    @property
    def last_words(self) -> str:
        """The end of what it wrote on standard error."""
        return self._log.read_text()[-2000:]

    @property
    def resident_mb(self) -> float:
        """Memory that it holds now, in MB."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        found = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(found.split()[1]) / 1024


@contextlib.contextmanager
def service(data_dir: Path, *arguments: str, **settings: str) -> Iterator[Program]:
    """A Firstmate on this data folder, ended with its supervisor; `python -m app serve` or such."""
    data_dir.mkdir(parents=True, exist_ok=True)
    chosen = {"DATA_DIR": str(data_dir), "RUNNER": "process", "DRAIN_SECONDS": "0"}
    try:
        with Program(
            *(arguments or ("-m", "app", "serve")),
            log=data_dir / "service.log",
            **{**_PORTS, **chosen, **settings},
        ) as program:
            yield program
    finally:
        killing.kill_children(data_dir)


def places(data_dir: Path) -> dict[str, str]:
    """Where the service of a data folder listens."""
    return guard.read_holder(data_dir)


def await_ready(data_dir: Path) -> None:
    """Return when /ready says so; its socket takes connections before anybody answers on it."""
    address = urlsplit(places(data_dir)["ops"]).netloc
    connection = http.client.HTTPConnection(address, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", "/ready")
        reply = connection.getresponse()
        assert reply.status == 200, reply.read()
