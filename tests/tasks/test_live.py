"""Files and secrets in a running service: from Keptn and the operator's folder to a real job."""

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.captain import Captain, config
from tests.clocks import FastClock
from tests.conftest import connection
from tests.ship import Ship, eventually

pytestmark = pytest.mark.slow
BINARY = bytes(range(256)) * 16384  # 4 MiB
HELM = "helm/values.yaml"


def put(captain: Captain, uri: str, content: str | bytes | None, *scope: str) -> str:
    """Write a file, on service level unless told otherwise."""
    return captain.keptn.resource(content, captain.project, *(scope or ("s", "svc")), uri=uri)


async def message(ship: Ship, captain: Captain, **more: Any) -> str:
    """What Keptn is told in the end about a triggered task."""
    event_id = await captain.trigger(ship.door, **more)
    await captain.wait(event_id, seconds=20)
    return str(captain.finished(event_id)["message"])


@pytest.mark.parametrize("way", ["sidecar", "api"])
async def test_a_job_finds_its_files_wherever_it_looks_for_them(
    start: Callable[..., Ship], captain: Captain, way: str
) -> None:
    put(captain, HELM, "from service")
    put(captain, "helm-abc/no.yaml", "never")
    for number in range(3):
        put(captain, f"data/bin{number}", BINARY, "s", "")
    put(captain, "root.txt", "from project", "", "")
    script = (
        f"cat /keptn/{HELM} {HELM} $KEPTN_FILES_DIR/root.txt; cat data/* | sha1sum; find . -type f"
    )
    script = script.replace("/keptn/", "$KEPTN_FILES_DIR/", 1)
    captain.put(config("sh", "-c", script, files=["helm", "/data", "root.txt"]))
    ship = start(**connection(captain.keptn, way))
    told = await message(ship, captain)
    assert told.count("from service") == 2
    assert "from project" in told
    assert hashlib.sha1(3 * BINARY).hexdigest() in told
    assert sorted(line for line in told.splitlines() if line.startswith("./")) == [
        "./data/bin0",
        "./data/bin1",
        "./data/bin2",
        f"./{HELM}",
        "./root.txt",
    ]


async def test_a_path_below_keptn_leads_to_the_tasks_own_folder(
    start: Callable[..., Ship], captain: Captain
) -> None:
    put(captain, "run.sh", "echo ran in $(basename $PWD)")
    captain.put(config("sh", "/keptn/run.sh", files=["run.sh"], workingDir="/keptn"))
    ship = start(**connection(captain.keptn, "sidecar"))
    assert "ran in keptn" in await message(ship, captain)


async def test_files_are_those_of_the_events_commit(
    start: Callable[..., Ship], captain: Captain
) -> None:
    put(captain, "a", "old")
    commit = captain.put(config("cat", "a", files=["a"]))
    put(captain, "a", "new")
    ship = start(**connection(captain.keptn, "sidecar"))
    assert "\nold" in await message(ship, captain, gitcommitid=commit)
    assert "\nnew" in await message(ship, captain, gitcommitid="")


async def test_a_folder_is_found_on_every_level_with_a_commit_and_without(
    start: Callable[..., Ship], captain: Captain
) -> None:
    put(captain, "one/file", "of service")
    put(captain, "two/file", "of stage", "s", "")
    put(captain, "three/file", "of project", "", "")
    script = "cat one/file two/file three/file"
    commit = captain.put(config("sh", "-c", script, files=["one", "two", "three"]), "", "")
    ship = start(**connection(captain.keptn, "sidecar"))
    for gitcommitid in (commit, ""):
        told = await message(ship, captain, gitcommitid=gitcommitid)
        assert "of serviceof stageof project" in told


async def test_a_file_that_is_nowhere_ends_the_task_with_all_places(
    start: Callable[..., Ship], captain: Captain
) -> None:
    commit = captain.put(config("true", files=["none"]))
    ship = start(**connection(captain.keptn, "api"))
    project = captain.project
    assert (
        "could not find file or directory none for task Do: looked on service level "
        f"{project}/s/svc at commit {commit}, on stage level {project}/s at commit {commit}, "
        f"on project level {project}"
    ) in await message(ship, captain)


@pytest.mark.parametrize("reachable_again", [True, False])
async def test_a_file_that_cannot_be_reached_is_waited_for(
    start: Callable[..., Ship], captain: Captain, clock: FastClock, reachable_again: bool
) -> None:
    clock.speed = 200
    put(captain, "a", "content")
    captain.put(config("cat", "a", files=["a"]))
    captain.fault("503", where="resource", path="/resource/a", times=None)
    ship = start(**connection(captain.keptn, "sidecar"))
    event_id = await captain.trigger(ship.door)
    await captain.wait(event_id, "started")
    await eventually(lambda: refused(captain) > 3)
    assert captain.counts(event_id) == (1, 0)
    if reachable_again:
        captain.mend()
    await captain.wait(event_id, seconds=20)
    told = captain.finished(event_id)["message"]
    assert ("\ncontent" if reachable_again else "asked for 540 s: ") in told
    assert captain.counts(event_id) == (1, 1)


async def test_a_wait_for_files_outlives_the_service(
    start: Callable[..., Ship], captain: Captain
) -> None:
    put(captain, "a", "content")
    captain.put(config("cat", "a", files=["a"]))
    captain.fault("503", where="resource", path="/resource/a", times=None)
    ship = start(**connection(captain.keptn, "sidecar"))
    event_id = await captain.trigger(ship.door)
    await captain.wait(event_id, "started")
    await eventually(lambda: refused(captain) > 1)
    await ship.stop()
    captain.mend()
    start(**connection(captain.keptn, "sidecar"))
    await captain.wait(event_id)
    assert "\ncontent" in captain.finished(event_id)["message"]
    assert captain.counts(event_id) == (1, 1)


def refused(captain: Captain) -> int:
    """How often the file `a` was asked for."""
    path = f"/project/{captain.project}/stage/s/service/svc/resource/a"
    return sum(one["path"].endswith(path) for one in captain.keptn.state()["lookups"])


async def test_many_runs_of_one_commit_read_each_file_once(
    start: Callable[..., Ship], captain: Captain
) -> None:
    put(captain, "a", "content")
    captain.put(config("cat", "a", files=["a"]))
    ship = start(**connection(captain.keptn, "api"))
    told = await asyncio.gather(*(message(ship, captain) for _ in range(5)))
    assert all("\ncontent" in one for one in told)
    assert refused(captain) == 1


async def test_a_job_gets_the_secret_that_it_asked_for_and_no_other(
    start: Callable[..., Ship], captain: Captain, tmp_path: Path
) -> None:
    for name in ("wanted", "other"):
        (tmp_path / "secrets" / name).mkdir(parents=True)
        (tmp_path / "secrets" / name / f"KEY_{name.upper()}").write_text(f"value of {name}")
    captain.put(config("env", env=[{"name": "wanted", "valueFrom": "secret"}]))
    ship = start(**connection(captain.keptn, "api"), secrets_path=tmp_path / "secrets")
    told = await message(ship, captain)
    assert "KEY_WANTED=value of wanted" in told
    assert "other" not in told.lower()
