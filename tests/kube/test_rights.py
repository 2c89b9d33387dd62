"""The Role: each verb is needed for something that a test shows, and nothing else is asked for."""

import asyncio

import pytest

from app.engines.contract import Ended
from app.errors import Permanent
from tests.kube import rules
from tests.kube.conftest import Harbour
from tests.kube.plays import Play
from tests.kube.server import TOKEN
from tests.ship import eventually

pytestmark = pytest.mark.slow
FILES = {"a": b"x"}
NEEDED = sorted(rules.Rights().allowed)


@pytest.fixture(autouse=True)
def _sweeping_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.engines.kubernetes.mirror.SWEEP_SECONDS", 5.0)


async def _everything(harbour: Harbour) -> None:
    """A voyage that needs every right; what is missing makes one of its claims untrue."""
    kube = harbour.kube
    assert await harbour.run(Play(code=3, output=b"told\n"), "one", files=FILES) == Ended(3)
    assert harbour.text("one") == "told\n"
    kube.lost_replies = 1
    assert await harbour.run(Play(code=4), "two") == Ended(4)
    stuck = await harbour.run(Play(failed_create="no account"), "three")
    assert "no account" in stuck.detail
    job = harbour.begin(Play(seconds=1000), "four")
    await eventually(lambda: harbour.is_running("four"), 2)
    kube.drop()
    await harbour.engine.cancel("four")
    assert await job == Ended(143, "cancelled")
    await harbour.restart()
    async with asyncio.timeout(5):
        assert await harbour.engine.attach("two") == Ended(4)
    assert kube.calls["list", "jobs"] <= 6, "listed at the start, and again after a break"
    for name in list(kube.jobs.lives):
        kube.jobs.delete("jobs", name)
    harbour.clock.skip(2 * 86400)
    await eventually(lambda: not kube.all("configmaps"), 2)


async def test_with_the_role_all_goes_well_and_nothing_more_is_asked_for(harbour: Harbour) -> None:
    await _everything(harbour)
    assert not harbour.kube.refused
    assert {right for right in harbour.kube.calls if right in harbour.kube.rights.allowed} == set(
        NEEDED
    )


@pytest.mark.parametrize(("verb", "resource"), NEEDED, ids=lambda one: one.replace("/", "-"))
async def test_without_one_verb_something_fails(harbour: Harbour, verb: str, resource: str) -> None:
    harbour.kube.rights.without(verb, resource)
    if (verb, resource) in {("create", "jobs"), ("create", "configmaps")}:
        with pytest.raises(Permanent, match=rf'cannot create resource "{resource}" in "jobs"'):
            await _everything(harbour)
        return
    with pytest.raises((AssertionError, Permanent, TimeoutError)):
        await _everything(harbour)
    assert harbour.kube.refused[verb, resource]


async def test_no_secret_of_ours_is_in_any_object_or_text(
    harbour: Harbour, caplog: pytest.LogCaptureFixture
) -> None:
    await _everything(harbour)
    texts = [repr(harbour.kube.bodies), repr(harbour.kube.store.objects), caplog.text]
    texts += [path.read_text("latin-1") for path in (harbour.folder / "jobs").rglob("output")]
    assert not any(TOKEN in text for text in texts)
