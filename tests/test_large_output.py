"""A job may print as much as it likes: the memory and the answer of the service stay small."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.events.build import LIMIT
from app.ledger import guard, rows, store
from tests.cli.conftest import Terminal

pytestmark = pytest.mark.slow

MEGABYTES = 100
ROOM = 12.0
"""MB that the service may grow by: at most two copies of 1 MiB of output are ever in memory."""

JOB = f"""
apiVersion: v2
actions:
  - name: Loud
    events: [{{name: remote-task.triggered}}]
    tasks:
      - name: Print
        image: any
        cmd: [sh, -c]
        args: ["yes all work and no play | head -c {MEGABYTES}000000; echo; echo the end"]
"""
SHIPYARD = """
apiVersion: spec.keptn.sh/0.2.2
kind: Shipyard
metadata: {name: botkube}
spec:
  stages:
    - name: production
      sequences: [{name: botkube-seq, tasks: [{name: remote-task}]}]
"""


@pytest.fixture
def service(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    (tmp_path / "jobconfig.yaml").write_text(JOB)
    (tmp_path / "shipyard.yaml").write_text(SHIPYARD)
    given = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path / "data"), "DRAIN_SECONDS": "1"}
    ports = {"PORT": "0", "OPS_PORT": "0", "PLANE_PORT": "0", "RUNNER": "process"}
    with subprocess.Popen(
        [sys.executable, "-m", "app", "serve", str(tmp_path)],
        env=given | ports,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as service:
        assert service.stdout
        greeting = [service.stdout.readline() for _ in range(4)]
        assert guard.read_holder(tmp_path / "data").get("api"), greeting
        yield service
        service.send_signal(signal.SIGTERM)


def megabytes(pid: int, which: str) -> float:
    """VmRSS, what a process holds now, or VmHWM, the most that it held since it was reset."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(rf"{which}:\s+(\d+) kB", status)
    assert found
    return int(found[1]) / 1024


def test_a_hundred_megabytes_of_output_cost_neither_memory_nor_message(
    service: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    terminal = Terminal(tmp_path / "data")
    before = megabytes(service.pid, "VmRSS")
    Path(f"/proc/{service.pid}/clear_refs").write_text("5")
    run = terminal.answered()
    peak, after = megabytes(service.pid, "VmHWM"), megabytes(service.pid, "VmRSS")
    reader = store.connect(tmp_path / "data" / store.FILE_NAME, read_only=True)
    bodies = [one.body for one in rows.letters(reader, int(run["id"])) if one.kind == "finished"]
    reader.close()
    message = len(bodies[0].encode())
    print(f"MB before {before:.1f}, peak {peak:.1f}, after {after:.1f}; message {message} bytes")
    assert peak - before < ROOM
    assert message <= LIMIT
    assert bodies[0].count("the end") == 1
    assert "the end" in terminal.run("logs", str(run["id"])).output
