"""Pods that cannot start, work that must end: told early, in the cluster's own words."""

import asyncio
import errno

import pytest

from app.engines.contract import Ended
from app.engines.spool import OutputFile
from tests.clocks import stopwatch
from tests.kube.harbour import Harbour
from tests.kube.plays import Play
from tests.ship import eventually

pytestmark = pytest.mark.slow

PULL = 'Failed to pull image "nowhere/x:1": not found'


def _waiting(*reasons: str) -> Play:
    return Play(waiting=tuple((reason, f"about {reason}") for reason in reasons))


@pytest.mark.parametrize(
    ("play", "words", "least", "most"),
    [
        (_waiting("InvalidImageName"), "InvalidImageName: about", 0, 8),
        (_waiting("CreateContainerConfigError"), "CreateContainerConfigError: about", 14, 25),
        (
            Play(waiting=(("ErrImagePull", PULL), *(("ImagePullBackOff", "Back-off"),) * 20)),
            f"ErrImagePull: {PULL}",
            14,
            25,
        ),
        (Play(failed_create='serviceaccount "no" not found'), 'serviceaccount "no"', 14, 30),
        (Play(unschedulable="0/3 nodes"), "Unschedulable: 0/3 nodes", 175, 195),
        (Play(failed_create="exceeded quota: pods=10"), "exceeded quota", 175, 200),
    ],
    ids=["name", "config", "pull", "account", "room", "quota"],
)
async def test_what_cannot_start_is_told_early_in_the_clusters_words(
    harbour: Harbour, play: Play, words: str, least: float, most: float
) -> None:
    begun = harbour.clock.tick()
    async with stopwatch(harbour.clock) as passed:
        ended = await harbour.run(play)
        assert passed() <= most
    assert harbour.clock.tick() - begun >= least
    assert (ended.cause, ended.code) == ("create", None)
    assert words in ended.detail
    assert harbour.kube.all("jobs") == harbour.kube.all("pods") == []


async def test_a_pull_that_works_at_last_is_no_trouble(harbour: Harbour) -> None:
    job = harbour.begin(_waiting("ErrImagePull"))
    await eventually(lambda: bool(harbour.kube.all("pods")))
    life = harbour.kube.life(harbour.key)
    await harbour.clock.sleep(8)
    harbour.kube.jobs._terminated(life, 0, "Completed", "")
    assert await job == Ended(0)


@pytest.mark.parametrize(
    ("play", "ended"),
    [
        (
            Play(code=137, reason="OOMKilled"),
            Ended(137, "run", "OOMKilled: it took more memory than its limit"),
        ),
        (Play(evicted="low on memory"), Ended(None, "interrupted", "Evicted: low on memory")),
        (
            Play(code=128, reason="StartError", message='exec: "x": not found'),
            Ended(127, "start", 'StartError: exec: "x": not found'),
        ),
    ],
    ids=["memory", "evicted", "no program"],
)
async def test_what_the_cluster_did_to_a_pod_is_told(
    harbour: Harbour, play: Play, ended: Ended
) -> None:
    assert await harbour.run(play) == ended


async def test_warnings_about_a_failed_pod_are_told(harbour: Harbour) -> None:
    job = harbour.begin(Play(seconds=20, code=1))
    await eventually(harbour.is_running)
    pod = harbour.kube.all("pods")[0]
    harbour.kube.jobs.event("jobs", pod, "Unhealthy", "it coughs")
    assert await job == Ended(1, "run", "events: Unhealthy: it coughs")


async def test_a_deadline_ends_the_work_and_keeps_its_last_words(harbour: Harbour) -> None:
    begun = harbour.clock.tick()
    async with stopwatch(harbour.clock) as passed:
        ended = await harbour.run(
            Play(seconds=1000, output=b"begun\n", last_words=b"asked\n"), deadline=20.0
        )
        assert passed() <= 30
    assert harbour.clock.tick() - begun >= 20
    assert ended == Ended(143, "timeout")
    assert harbour.text() == "begun\nasked\n"
    assert harbour.kube.all("jobs") == harbour.kube.all("pods") == []


async def test_no_deadline_is_too_short(harbour: Harbour) -> None:
    ended = await harbour.run(Play(seconds=1000), deadline=0.0)
    assert ended.cause == "timeout"
    await eventually(lambda: not harbour.kube.all("pods"))


async def test_a_deadline_that_passes_while_nobody_is_there_is_kept_by_the_cluster(
    harbour: Harbour,
) -> None:
    job = harbour.begin(Play(seconds=1000), deadline=10.0)
    await eventually(harbour.is_running)
    job.cancel()
    await harbour.restart()
    await eventually(lambda: not harbour.kube.all("pods"))
    ended = await harbour.engine.attach(harbour.key)
    assert ended
    assert ended.cause == "timeout"


async def test_after_a_restart_a_deadline_is_what_is_left_of_it(harbour: Harbour) -> None:
    begun = harbour.clock.tick()
    async with stopwatch(harbour.clock) as passed:
        job = harbour.begin(Play(seconds=1000), deadline=30.0)
        await eventually(harbour.is_running)
        await harbour.clock.sleep(15)
        job.cancel()
        await harbour.restart()
        ended = await harbour.engine.attach(harbour.key)
        assert passed() <= 40
    assert harbour.clock.tick() - begun >= 28
    assert ended == Ended(143, "timeout")


async def test_cancelled_work_ends_before_it_is_told(harbour: Harbour) -> None:
    job = harbour.begin(Play(seconds=1000, output=b"begun\n", last_words=b"asked\n"))
    await eventually(harbour.is_running)
    await harbour.engine.cancel(harbour.key)
    assert await job == Ended(143, "cancelled")
    assert harbour.kube.all("pods") == []
    assert harbour.text() == "begun\nasked\n"
    assert await harbour.engine.attach(harbour.key) is None


async def test_a_pod_that_does_not_go_is_said_to_be_there(harbour: Harbour) -> None:
    job = harbour.begin(Play(seconds=1000, deaf=True))
    await eventually(harbour.is_running)
    await harbour.engine.cancel(harbour.key)
    ended = await job
    assert ended.cause == "cancelled"
    assert f"its pod firstmate-{harbour.key}-x1y2z is still there" in ended.detail


async def test_cancelling_what_is_not_there_does_nothing(harbour: Harbour) -> None:
    await harbour.engine.cancel("never")
    assert await harbour.run(Play()) == Ended(0)
    await harbour.engine.cancel(harbour.key)
    assert await harbour.engine.attach(harbour.key) == Ended(0)


async def test_a_cancelled_launch_that_was_never_made_ends(harbour: Harbour) -> None:
    harbour.kube.down = True
    job = harbour.begin(Play(seconds=1000))
    await harbour.clock.sleep(2)
    await harbour.engine.cancel(harbour.key)
    harbour.kube.down = False
    assert (await job).cause == "cancelled"
    assert harbour.kube.all("jobs") == harbour.kube.all("pods") == []


async def test_a_pod_that_is_deleted_is_no_failure_of_the_work(harbour: Harbour) -> None:
    job = harbour.begin(Play(seconds=1000))
    await eventually(harbour.is_running)
    life = harbour.kube.life(harbour.key)
    life.asked_to_end.set()
    await eventually(lambda: not harbour.kube.all("pods"))
    harbour.kube.jobs._condition(life, "Failed", "BackoffLimitExceeded", "limit")
    ended = await job
    assert (ended.cause, ended.code) == ("interrupted", 143)


async def test_a_cancel_before_the_job_is_found_again_is_not_lost(harbour: Harbour) -> None:
    job = harbour.begin(Play(seconds=1000))
    await eventually(harbour.is_running)
    job.cancel()
    harbour.kube.down = True
    await harbour.restart()
    attached = asyncio.create_task(harbour.engine.attach(harbour.key))
    await harbour.clock.sleep(5)
    await harbour.engine.cancel(harbour.key)
    harbour.kube.down = False
    ended = await attached
    assert ended
    assert ended.cause == "cancelled"
    assert harbour.kube.all("pods") == []


async def test_a_full_disk_costs_the_output_and_not_the_outcome(
    harbour: Harbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: OutputFile, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(OutputFile, "append", full)
    assert await harbour.run(Play(code=3, output=b"lost")) == Ended(3)
    assert harbour.text() == ""
