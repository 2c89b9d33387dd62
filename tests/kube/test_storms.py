"""A cluster in trouble: no hiccup ends anything, nothing is launched twice or left behind."""

import asyncio

import pytest

from app.engines.contract import Ended
from tests.clocks import stopwatch
from tests.kube.harbour import Harbour
from tests.kube.plays import Play
from tests.ship import eventually

pytestmark = pytest.mark.slow


async def test_an_outage_of_thirty_seconds_loses_nothing(harbour: Harbour) -> None:
    jobs = [harbour.begin(Play(seconds=n, code=n), f"key-{n}") for n in range(0, 60, 4)]
    await harbour.clock.sleep(10)
    late = [harbour.begin(Play(seconds=n, code=n), f"late-{n}") for n in range(0, 60, 4)]
    await harbour.kube.outage(30)
    assert await asyncio.gather(*jobs, *late) == [Ended(n) for n in range(0, 60, 4)] * 2
    assert sorted(harbour.kube.jobs.launched) == sorted(set(harbour.kube.jobs.launched))


@pytest.mark.parametrize("seconds", [0.1, 5])
async def test_dropped_watches_are_resumed(harbour: Harbour, seconds: float) -> None:
    jobs = [harbour.begin(Play(seconds=n * 3, code=n), f"key-{n}") for n in range(10)]
    for _ in range(8):
        await harbour.clock.sleep(seconds)
        harbour.kube.drop()
    assert await asyncio.gather(*jobs) == [Ended(n) for n in range(10)]
    assert len(harbour.kube.jobs.launched) == 10


async def test_a_version_too_old_is_listed_again(harbour: Harbour) -> None:
    job = harbour.begin(Play(seconds=40, code=6))
    await eventually(harbour.is_running)
    listed = harbour.kube.calls["list", "jobs"]
    harbour.kube.store.compact()
    harbour.kube.drop()
    assert await job == Ended(6)
    assert harbour.kube.calls["list", "jobs"] == listed + 1


async def test_a_job_that_went_while_nobody_watched_is_missed(harbour: Harbour) -> None:
    job = harbour.begin(Play(seconds=600))
    await eventually(harbour.is_running)
    harbour.kube.down = True
    harbour.kube.drop()
    harbour.kube.jobs.delete("jobs", f"firstmate-{harbour.key}")
    await harbour.clock.sleep(3)
    harbour.kube.store.compact()
    harbour.kube.down = False
    assert (await job).cause == "interrupted"


async def test_a_silent_watch_is_given_up(
    harbour: Harbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.engines.kubernetes.client.SILENT_SECONDS", 0.3)
    job = harbour.begin(Play(seconds=5, code=6))
    harbour.kube.mute = True
    await harbour.clock.sleep(6)
    harbour.kube.mute = False
    assert await job == Ended(6)


async def test_late_news_changes_nothing(harbour: Harbour) -> None:
    harbour.kube.late = 4
    jobs = [harbour.begin(Play(seconds=n, code=n), f"key-{n}") for n in range(5)]
    assert await asyncio.gather(*jobs) == [Ended(n) for n in range(5)]


async def test_work_that_ended_at_its_deadline_unseen_has_not_timed_out(harbour: Harbour) -> None:
    harbour.kube.late = 1000
    assert await harbour.run(Play(seconds=5, code=6), deadline=20.0) == Ended(6)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_a_server_in_trouble_is_asked_again(harbour: Harbour, status: int) -> None:
    harbour.kube.answers = [(status, {"Retry-After": "2"})] * 6
    assert await harbour.run(Play(code=2, output=b"told\n")) == Ended(2)
    harbour.kube.answers = [(status, {})] * 3
    assert await harbour.run(Play(code=3, output=b"told\n"), "second") == Ended(3)
    assert harbour.text("second") == "told\n"


async def test_retry_after_is_heeded(harbour: Harbour) -> None:
    await harbour.run(Play(), "first")
    harbour.kube.answers = [(429, {"Retry-After": "40"})]
    begun = harbour.clock.tick()
    await harbour.run(Play())
    assert harbour.clock.tick() - begun >= 40
    assert harbour.kube.calls["list", "events"] == 0, "why it has no pod yet is known"


async def test_a_lost_reply_launches_nothing_twice(harbour: Harbour) -> None:
    harbour.kube.lost_replies = 1
    assert await harbour.run(Play(seconds=3, code=4)) == Ended(4)
    assert len(harbour.kube.jobs.launched) == 1


async def test_a_job_whose_reply_was_lost_in_an_outage_is_found_after_it(harbour: Harbour) -> None:
    harbour.kube.lost_replies = 1
    job = harbour.begin(Play(seconds=60, code=4))
    await eventually(lambda: bool(harbour.kube.made))
    await harbour.kube.outage(30)
    assert await job == Ended(4)
    assert len(harbour.kube.made) == 1


async def test_a_burst_of_launches_does_not_make_us_blind(harbour: Harbour) -> None:
    jobs = [harbour.begin(Play(seconds=600), f"key-{n}") for n in range(200)]
    await eventually(lambda: harbour.kube.calls["list", "pods"] == 1)
    assert len(harbour.kube.made) < 200, "what is to be seen is asked for before the last is made"
    for job in jobs:
        job.cancel()
    await asyncio.gather(*jobs, return_exceptions=True)


async def test_a_token_that_was_replaced_is_read_again(harbour: Harbour) -> None:
    await harbour.run(Play(), "first")
    harbour.kube.token = "fresh"
    harbour.token_file.write_text("fresh\n")
    harbour.kube.drop()
    assert await harbour.run(Play(code=3)) == Ended(3)


async def test_a_token_that_is_refused_for_a_while_ends_nothing(harbour: Harbour) -> None:
    harbour.kube.token = "fresh"
    job = harbour.begin(Play(code=3))
    await harbour.clock.sleep(15)
    harbour.token_file.write_text("fresh\n")
    assert await job == Ended(3)


async def test_a_cancel_in_an_outage_is_done_when_it_is_over(harbour: Harbour) -> None:
    job = harbour.begin(Play(seconds=600))
    await eventually(harbour.is_running)
    harbour.kube.down = True
    harbour.kube.drop()
    await harbour.engine.cancel(harbour.key)
    await harbour.clock.sleep(20)
    harbour.kube.down = False
    assert (await job).cause == "cancelled"
    assert harbour.kube.all("pods") == []


async def test_a_namespace_that_cannot_be_seen_does_not_hide_the_others(harbour: Harbour) -> None:
    running = harbour.begin(Play(seconds=30, code=4), namespace="other")
    await eventually(harbour.is_running)
    running.cancel()
    await harbour.restart()
    harbour.kube.closed.add("jobs")
    assert await harbour.engine.attach(harbour.key) == Ended(4)


async def test_never_interrupted_while_the_cluster_cannot_be_asked(harbour: Harbour) -> None:
    running = harbour.begin(Play(seconds=60, code=4))
    await eventually(harbour.is_running)
    running.cancel()
    harbour.kube.down = True
    await harbour.restart()
    attached = asyncio.create_task(harbour.engine.attach(harbour.key))
    await harbour.clock.sleep(20)
    assert not attached.done()
    harbour.kube.down = False
    assert await attached == Ended(4)


async def test_an_object_that_cannot_be_read_does_not_make_us_blind(
    harbour: Harbour, caplog: pytest.LogCaptureFixture
) -> None:
    odd = {"firstmate/launch-key": "odd", "app.kubernetes.io/managed-by": "firstmate"}
    harbour.kube.store.create(
        "jobs", {"metadata": {"name": "odd", "namespace": "jobs", "labels": odd}}
    )
    assert await harbour.run(Play(seconds=3, code=2)) == Ended(2)
    assert "cannot read JOB odd" in caplog.text


async def test_a_quiet_service_asks_the_cluster_less_than_once_a_minute(harbour: Harbour) -> None:
    await harbour.run(Play())
    before = harbour.kube.calls.total()
    await harbour.clock.sleep(600)
    assert harbour.kube.calls.total() - before <= 10


@pytest.mark.parametrize("status", [429, 500])
async def test_when_every_second_call_fails_all_work_is_seen_to_its_end(
    harbour: Harbour, status: int
) -> None:
    harbour.kube.every_second = (status, {"Retry-After": "1"})
    async with stopwatch(harbour.clock) as passed:
        jobs = [harbour.begin(Play(seconds=n, code=n), f"key-{n}") for n in range(20)]
        assert await asyncio.gather(*jobs) == [Ended(n) for n in range(20)]
        assert passed() < 120
    assert len(harbour.kube.jobs.launched) == len(harbour.kube.made) == 20
