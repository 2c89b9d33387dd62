"""A whole service whose tasks run in a cluster: from Keptn's order to Keptn's answer."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app import settings
from app.clock import Clock
from app.engines.contract import Ended
from app.errors import Permanent
from app.river import engine_for
from tests.captain import Captain, config
from tests.clocks import FastClock
from tests.conftest import connection
from tests.kube.harbour import SITE, Harbour
from tests.kube.plays import Play
from tests.kube.server import Kube
from tests.ship import Ship

pytestmark = pytest.mark.slow

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def in_cluster(tmp_path: Path, captain: Captain) -> Callable[[Kube], dict[str, Any]]:
    """The settings of a service in a pod of the namespace `jobs`."""

    def given(kube: Kube) -> dict[str, Any]:
        account = tmp_path / "account"
        account.mkdir()
        (account / "token").write_text(kube.token)
        (account / "namespace").write_text("jobs")
        cluster = {"kubernetes_api_url": kube.url, "service_account_path": account}
        return {**cluster, **connection(captain.keptn, "sidecar"), "runner": "kubernetes"}

    return given


async def test_a_task_becomes_a_job_and_its_end_the_answer(
    start: Callable[..., Ship],
    captain: Captain,
    clock: FastClock,
    in_cluster: Callable[[Kube], dict[str, Any]],
) -> None:
    secret = {"name": "database", "valueFrom": "secret"}
    captain.put(config("run", env=[secret]))
    async with Kube(clock).running() as kube:
        kube.play("alpine", Play(output=b"all well\n"))
        ship = start(**in_cluster(kube))
        event_id = await captain.trigger(ship.door)
        assert (await captain.wait(event_id))["finished"] == 1
        (answer,) = (
            json.loads(one.body) for one in ship.letters(event_id) if one.kind == "finished"
        )
    (job,) = (body for body in kube.bodies if body["kind"] == "Job")
    labels = job["metadata"]["labels"]
    assert (labels["keptn.sh/event-id"], labels["keptn.sh/jes-task"]) == (event_id, "Do")
    assert job["metadata"]["namespace"] == "jobs"
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["envFrom"] == [{"secretRef": {"name": "database"}}]
    data = answer["data"]
    assert data["result"] == "pass"
    assert "all well" in data["message"]


async def test_files_come_by_the_image_of_the_services_own_pod(harbour: Harbour) -> None:
    harbour.site = replace(SITE, init_image="", own_pod=("jobs", "firstmate-0"))
    await harbour.restart()
    sidecar, own = ({"name": name, "image": f"{name}:7"} for name in ("distributor", "firstmate"))
    metadata = {"name": "firstmate-0", "namespace": "jobs"}
    pod = {"kind": "Pod", "metadata": metadata, "spec": {"containers": [sidecar, own]}}
    harbour.kube.store.create("pods", pod)
    for key in ("one", "two"):
        assert await harbour.run(Play(), key, files={"a": b"1"}) == Ended(0)
        (init,) = harbour.job()["spec"]["template"]["spec"]["initContainers"]
        assert init["image"] == "firstmate:7"


async def test_without_an_image_for_files_the_setting_is_named(harbour: Harbour) -> None:
    harbour.site = replace(SITE, init_image="", own_pod=("jobs", "elsewhere"))
    await harbour.restart()
    with pytest.raises(Permanent, match="set INIT_CONTAINER_IMAGE"):
        await harbour.run(Play(), files={"a": b"1"})
    assert await harbour.run(Play(), "two") == Ended(0)


async def test_while_the_cluster_is_away_the_service_lives_and_takes_orders(
    start: Callable[..., Ship],
    captain: Captain,
    clock: FastClock,
    in_cluster: Callable[[Kube], dict[str, Any]],
) -> None:
    captain.put(config("run"))
    async with Kube(clock).running() as kube:
        kube.down = True
        ship = start(**in_cluster(kube))
        event_id = await captain.trigger(ship.door)
        await captain.wait(event_id, "started")
        await clock.sleep(30)
        replies = [await ship.http.get(f"{ship.ops}/{page}") for page in ("health", "ready")]
        assert [reply.status_code for reply in replies] == [200, 200]
        kube.down = False
        assert (await captain.wait(event_id))["finished"] == 1
        assert len(kube.made) == 1


def test_without_its_extra_the_engine_says_what_to_install(tmp_path: Path) -> None:
    start = "sys.modules['kubernetes'] = None; from app.cli import main; main(['serve'])"
    wanted = {"RUNNER": "kubernetes", "KUBERNETES_API_URL": NOWHERE}
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {start}"],
        env={**os.environ, **wanted, "DATA_DIR": str(tmp_path), "KEPTN_DISTRIBUTOR_URL": NOWHERE},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "pip install '.[k8s]'" in done.stderr


def test_without_a_cluster_the_engine_says_how_to_reach_one() -> None:
    with pytest.raises(Permanent, match="kubectl proxy"):
        engine_for(settings.load(runner="kubernetes"), Clock())
