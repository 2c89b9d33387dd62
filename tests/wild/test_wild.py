"""Job configs as users write them, run unchanged through `firstmate run` on the process engine.

`helm` and `kubectl` are recording programs on PATH here; locust, Python and the shell are real.
"""

import json
import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from app.cli import main
from tests.cli.test_run import messages

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent
RECORDER = """#!/bin/sh
echo "recorded: ${0##*/} $*" | sed "s#$KEPTN_FILES_DIR#/keptn#g"
for one; do
  case $one in /*) find "$one" -type f | sort | sed "s#$KEPTN_FILES_DIR#/keptn#" ;; esac
done
"""
SCOPE = {"project": "sockshop", "stage": "dev", "service": "carts"}


@dataclass(frozen=True)
class Ended:
    """What the command printed: the job's output, and the data of what would be sent."""

    code: int
    output: str
    sent: list[dict[str, Any]]


def run(config: str, task: str, path: str = "", **data: Any) -> Ended:
    event = {"type": f"sh.keptn.event.{task}.triggered", "data": {**SCOPE, **data}}
    done = CliRunner().invoke(
        main,
        ["run", "-f", str(HERE / config / "job/config.yaml"), "--event", "-"],
        input=json.dumps(event),
        env={"RUNNER": "process", "PATH": path or os.environ["PATH"]},
    )
    print(f"{config}: exit code {done.exit_code}\n{done.output}")
    return Ended(done.exit_code, done.stderr, [one["data"] for one in messages(done.stdout)])


@pytest.fixture
def recorders(tmp_path: Path) -> str:
    """A PATH on which helm and kubectl tell how they were called."""
    for name in ("helm", "kubectl"):
        (tmp_path / name).write_text(RECORDER)
        (tmp_path / name).chmod(0o755)
    return f"{tmp_path}:{os.environ['PATH']}"


class Shop(BaseHTTPRequestHandler):
    """A shop under test."""

    def do_GET(self) -> None:
        body = b"<h1>carts</h1>"
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def shop() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Shop)
    thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.05))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.skipif(not shutil.which("locust"), reason="no locust on PATH: pip install locust")
def test_locust_from_its_package_asks_the_deployed_service(shop: str) -> None:
    ended = run(
        "locust", "test", test={"teststrategy": "smoke"}, deployment={"deploymentURIsLocal": [shop]}
    )

    line = next(one for one in ended.output.splitlines() if one.strip().startswith("GET"))
    requests, failures = line.split()[2:4]
    assert ended.code == 0, ended.output
    assert (int(requests) > 10, failures) == (True, "0(0.00%)")
    assert ended.sent[-1]["result"] == "pass"
    assert ended.sent[-1]["test"].keys() == {"start", "end"}


@pytest.mark.skipif(not shutil.which("locust"), reason="no locust on PATH: pip install locust")
def test_locust_against_a_service_that_is_down_fails_the_task() -> None:
    deployment = {"deploymentURIsLocal": ["http://127.0.0.1:9"]}
    ended = run("locust", "test", test={"teststrategy": "smoke"}, deployment=deployment)

    assert (ended.code, ended.sent[-1]["result"]) == (1, "fail")
    assert "failed with exit code 1" in ended.sent[-1]["message"]


def test_helm_gets_the_whole_chart(recorders: str) -> None:
    change = {"values": {"image": "docker.io/example/carts:0.2"}}
    ended = run("helm", "deployment", recorders, configurationChange=change)

    assert (ended.code, ended.sent[-1]["status"]) == (0, "succeeded")
    assert "serviceAccount" in ended.sent[-1]["message"]
    recorded, *files = ended.output.splitlines()[1:]
    assert recorded == (
        "recorded: helm upgrade --create-namespace --install -n sockshop-dev carts"
        " /keptn/charts/carts --set image=docker.io/example/carts:0.2 --wait"
    )
    assert [name.removeprefix("/keptn/charts/carts/") for name in files] == [
        "Chart.yaml",
        "templates/deployment.yaml",
        "values.yaml",
    ]


def test_several_events_with_jsonpath_pick_the_actions(recorders: str) -> None:
    ended = run(
        "several",
        "action",
        recorders,
        action={"action": "scale", "value": {"replicas": 3}},
        problem={"State": "OPEN", "ProblemTitle": "cpu > 90"},
        labels={"team": "blue"},
    )

    assert ended.code == 0
    assert ended.output.splitlines() == [
        "=== Ask kubectl ===",
        "recorded: kubectl -n sockshop-dev scale deployment/carts --replicas=3",
        "=== Say it ===",
        r'problem was {"ProblemTitle":"cpu \u003e 90","State":"OPEN"} of blue',
    ]
    assert "Say it" not in ended.sent[-1]["message"]


def test_v1_splits_its_command_as_it_always_did() -> None:
    ended = run("v1", "test", test={"teststrategy": "functional"})

    assert ended.code == 0
    assert ended.output.endswith("['--project', 'shop'] functional carts\n")
    assert "apiVersion v1" in ended.sent[-1]["message"]


def test_a_file_without_version_may_hold_keys_that_nobody_knows() -> None:
    ended = run("lenient", "test", test={"teststrategy": "health"})

    assert ended.code == 0
    assert ended.output.endswith("checking sockshop/dev/carts\ncheck.sh\n")
    assert "without apiVersion" in ended.sent[-1]["message"]
