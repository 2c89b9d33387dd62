"""A served project as a user has it: one `firstmate serve` process for all tests here."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.cli import main
from app.ledger import guard

ROOT = Path(__file__).parents[2]
SCOPE = ("--project", "botkube", "--stage", "production", "--service", "hello")


@dataclass
class Terminal:
    """Somebody's second terminal: the same DATA_DIR as the service."""

    data: Path

    def run(self, *words: str, **environment: str) -> Result:
        """One command, in this process."""
        clean = dict.fromkeys(("KEPTN_API_ENDPOINT", "KEPTN_DISTRIBUTOR_URL", "EVENTBROKER"))
        given = {**clean, "DATA_DIR": str(self.data), **environment}
        return CliRunner().invoke(main, words, env=given, prog_name="firstmate")

    def answered(self) -> dict[str, str]:
        """A run that was triggered now and has been answered."""
        triggered = self.run("trigger", "sequence", "botkube-seq", *SCOPE, "--json")
        context = json_of(triggered.output)["keptnContext"]
        for _ in range(400):
            listed = map(json_of, self.run("runs", "--json").output.splitlines())
            for run in listed:
                if run["context"] == context and run["state"] == "answered":
                    return run
            time.sleep(0.02)
        raise AssertionError("the run was not answered")


def json_of(text: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(text)
    return found


@pytest.fixture(scope="session")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    data = tmp_path_factory.mktemp("data")
    environment = {"PATH": os.environ["PATH"], "DATA_DIR": str(data), "DRAIN_SECONDS": "1"}
    ports = {"PORT": "0", "OPS_PORT": "0", "PLANE_PORT": "0"}
    service = subprocess.Popen(
        [sys.executable, "-m", "app", "serve", str(ROOT)],
        cwd=ROOT,
        env=environment | ports,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert service.stdout
    greeting = [service.stdout.readline() for _ in range(4)]
    assert guard.read_holder(data).get("api"), greeting
    yield Terminal(data)
    service.send_signal(signal.SIGTERM)
    assert service.wait(20) == 0
    service.stdout.close()
