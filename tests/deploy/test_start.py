"""The Deployment's own container, as a process: its arguments, environment, user, read-only root.

The sidecar cannot be had here; the strict Keptn plays its side.
"""

import time
import uuid
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.captain import config
from tests.conftest import document
from tests.deploy import manifests
from tests.deploy.conftest import TOKEN, Pod
from tests.strict.client import StrictKeptn

pytestmark = pytest.mark.slow
GRACE = manifests.pod()["terminationGracePeriodSeconds"]
STRUCTURED = {"content-type": "application/cloudevents+json"}


def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    """Wait until something holds; a test that waits in vain fails here."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def counted(pod: Pod, name: str) -> list[float]:
    """A counter of the service, for each of its labels."""
    found = pod.figures().items()
    return [value for key, value in found if key.startswith(f"firstmate_{name}{{")]


def test_it_takes_an_event_from_its_sidecar_and_reads_the_config_by_it(
    run: Callable[..., Pod], strict: StrictKeptn, tmp_path: Path
) -> None:
    pod = run(KEPTN_DISTRIBUTOR_URL=strict.sidecar_url)
    pod.wait_until_started()
    project = f"p{uuid.uuid4().hex[:12]}"
    strict.trigger(["test"], project=project, door=pod.door)
    until(lambda: sum(counted(pod, "ignored_total")) == 1)
    assert sum(counted(pod, "reads_total")) >= 1, "asked for the config"
    assert (tmp_path / "data/ledger.db").exists()
    pod.process.terminate()
    assert pod.process.wait(GRACE) == 0
    assert TOKEN not in pod.said()


def test_without_keptn_and_without_the_api_server_it_lives_and_is_ready(
    run: Callable[..., Pod],
) -> None:
    pod = run(KEPTN_DISTRIBUTOR_URL="http://127.0.0.1:9")
    pod.wait_until_started()
    taken = httpx.post(pod.door, json=document(), headers=STRUCTURED, trust_env=False)
    assert taken.status_code == 202
    until(lambda: pod.figures()["firstmate_open"] == 1)
    assert [pod.probe(kind) for kind in ("liveness", "readiness")] == [200, 200]
    assert pod.process.poll() is None


def test_told_to_stop_it_is_not_ready_lives_and_ends_before_the_kill(
    run: Callable[..., Pod], strict: StrictKeptn
) -> None:
    """The engine `process` is what works without a cluster; it outlives us as a Job would."""
    pod = run(KEPTN_DISTRIBUTOR_URL=strict.sidecar_url, RUNNER="process")
    pod.wait_until_started()
    project = f"p{uuid.uuid4().hex[:12]}"
    strict.resource(config("sleep", "7"), project, "s", "svc")
    triggered = strict.trigger(["test"], project=project, door=pod.door)["triggeredid"]
    until(lambda: pod.figures()["firstmate_running"] == 1)
    began = time.monotonic()
    pod.process.terminate()
    until(lambda: pod.probe("readiness") == 503)
    assert pod.probe("liveness") == 200
    assert pod.process.wait(GRACE) == 0
    drained = time.monotonic() - began
    assert drained > float(manifests.environment("firstmate")["DRAIN_SECONDS"]) - 1

    again = run(KEPTN_DISTRIBUTOR_URL=strict.sidecar_url, RUNNER="process")
    again.wait_until_started()
    task = strict.wait(triggered, seconds=20)
    assert (task["started"], task["finished"]) == (1, 1), "attached, and not launched again"


def test_a_setting_that_names_a_file_that_is_missing_ends_the_start_with_one_line(
    run: Callable[..., Pod],
) -> None:
    pod = run(ROUTES_FILE="/etc/firstmate/gone.yaml")
    assert pod.process.wait(30) == 1
    assert "ROUTES_FILE /etc/firstmate/gone.yaml cannot be read" in pod.said()
