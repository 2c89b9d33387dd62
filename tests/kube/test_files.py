"""A task's files: ConfigMaps named by their content, shared, checked, removed when unused."""

import os

import pytest

from app.engines.contract import Ended
from app.errors import Permanent
from tests.kube.harbour import Harbour
from tests.kube.plays import Play
from tests.ship import eventually

pytestmark = pytest.mark.slow

FILES = {"a.sh": b"echo a\n", "deep/er/ä b": b"\x00\xff", "empty": b""}


def _found(harbour: Harbour, key: str = "") -> dict[str, bytes]:
    folder = harbour.kube.life(key or harbour.key).folder
    assert folder
    place = folder / "keptn"
    return {
        str(path.relative_to(place)): path.read_bytes()
        for path in place.rglob("*")
        if path.is_file()
    }


async def test_a_tasks_files_stand_below_keptn(harbour: Harbour) -> None:
    assert await harbour.run(Play(), files=FILES) == Ended(0)
    assert _found(harbour) == FILES


async def test_any_user_of_the_pod_may_change_them(harbour: Harbour) -> None:
    await harbour.run(Play(), files=FILES)
    folder = harbour.kube.life(harbour.key).folder
    assert folder
    modes = {path.name: path.stat().st_mode & 0o777 for path in (folder / "keptn").rglob("*")}
    assert modes == {"a.sh": 0o666, "deep": 0o777, "er": 0o777, "ä b": 0o666, "empty": 0o666}


async def test_large_files_are_cut_into_several(harbour: Harbour) -> None:
    large = {"large": os.urandom(2 << 20), "small": b"x"}
    assert await harbour.run(Play(), files=large) == Ended(0)
    assert _found(harbour) == large
    assert len(harbour.kube.all("configmaps")) == 3
    assert all(one["immutable"] for one in harbour.kube.all("configmaps"))


async def test_the_same_files_are_brought_once(harbour: Harbour) -> None:
    await harbour.run(Play(), "one", files=FILES)
    await harbour.run(Play(), "two", files=dict(reversed(FILES.items())))
    assert harbour.kube.calls["create", "configmaps"] == 1
    await harbour.restart()
    await harbour.run(Play(), "three", files=FILES)
    assert len(harbour.kube.all("configmaps")) == 1
    assert _found(harbour, "three") == FILES


async def test_files_that_somebody_changed_reach_no_container(harbour: Harbour) -> None:
    await harbour.run(Play(), "one", files=FILES)
    place = ("configmaps", "jobs", harbour.kube.all("configmaps")[0]["metadata"]["name"])
    harbour.kube.store.update(*place, binaryData={"part": "ZXZpbA=="})
    ended = await harbour.run(Play(), files=FILES)
    assert ended.cause == "create"
    assert "a ConfigMap was changed" in ended.detail


async def test_files_that_are_missing_are_told_early(harbour: Harbour) -> None:
    await harbour.run(Play(), "one", files=FILES)
    name = harbour.kube.all("configmaps")[0]["metadata"]["name"]
    harbour.kube.store.delete("configmaps", "jobs", name)
    ended = await harbour.run(Play(), files=FILES)
    assert ended.cause == "create"
    assert f'configmap "{name}" not found' in ended.detail


async def test_files_that_nobody_used_for_a_day_are_removed(
    harbour: Harbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.engines.kubernetes.mirror.SWEEP_SECONDS", 1.0)
    await harbour.run(Play(), files=FILES)
    harbour.clock.skip(2 * 86400)
    await harbour.clock.sleep(5)
    assert len(harbour.kube.all("configmaps")) == 1, "its Job is still there"
    harbour.kube.jobs.delete("jobs", f"firstmate-{harbour.key}")
    await eventually(lambda: not harbour.kube.all("configmaps"))


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "", "a\0b", "\ud800"])
async def test_no_file_leaves_the_tasks_folder(harbour: Harbour, name: str) -> None:
    with pytest.raises(Permanent, match="leaves the task's folder"):
        await harbour.run(Play(), files={name: b"x"})


async def test_a_file_that_cannot_be_written_is_told(harbour: Harbour) -> None:
    ended = await harbour.run(Play(), files={"a": b"", "a/b": b""})
    assert ended.cause == "create"
    assert "keptn/a: " in ended.detail
