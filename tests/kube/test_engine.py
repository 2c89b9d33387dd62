"""The engine contract on a cluster: what is told of an end, whoever asks, and as often as asked."""

import asyncio

import pytest

from app.engines import spool
from app.engines.contract import Ended
from app.errors import Permanent
from tests.kube.harbour import Harbour
from tests.kube.plays import Play
from tests.ship import eventually

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("code", [0, 1, 7, 127, 255])
async def test_an_exit_code_is_told(harbour: Harbour, code: int) -> None:
    ended = await harbour.run(Play(code=code, output=b"told\n"))
    assert ended == Ended(code, "run")
    assert ended.passed == (code == 0)
    assert harbour.text() == "told\n"


async def test_a_job_that_passes_costs_two_calls(harbour: Harbour) -> None:
    await harbour.run(Play())
    before = harbour.kube.calls.copy()
    await harbour.run(Play(seconds=3), "another")
    assert harbour.kube.calls - before == {("create", "jobs"): 1, ("get", "pods/log"): 1}


async def test_a_launch_is_made_once_however_often_it_is_asked(harbour: Harbour) -> None:
    both = [harbour.begin(Play(seconds=5, code=3)) for _ in range(2)]
    assert await asyncio.gather(*both) == [Ended(3), Ended(3)]
    assert await harbour.run(image=f"image-{harbour.key}") == Ended(3)
    assert len(harbour.kube.jobs.launched) == 1


async def test_a_restart_attaches_what_runs_and_what_has_ended(harbour: Harbour) -> None:
    running = harbour.begin(Play(seconds=60, code=4, output=b"late\n"))
    await harbour.run(Play(code=5, output=b"early\n"), "ended")
    running.cancel()
    await harbour.restart()
    assert await harbour.engine.attach("ended") == Ended(5)
    assert await harbour.engine.attach(harbour.key) == Ended(4)
    assert harbour.text() == "late\n"
    assert len(harbour.kube.jobs.launched) == 2


async def test_a_job_in_another_namespace_is_found_again(harbour: Harbour) -> None:
    running = harbour.begin(Play(seconds=30, code=4), namespace="other")
    await eventually(harbour.is_running)
    running.cancel()
    await harbour.restart()
    assert await harbour.engine.attach(harbour.key) == Ended(4)


async def test_what_was_never_launched_has_nothing_to_attach_to(harbour: Harbour) -> None:
    assert await harbour.engine.attach("never") is None


async def test_a_job_that_somebody_deletes_is_interrupted(harbour: Harbour) -> None:
    job = harbour.begin(Play(seconds=600))
    await eventually(harbour.is_running)
    harbour.kube.jobs.delete("jobs", f"firstmate-{harbour.key}")
    ended = await job
    assert (ended.cause, ended.detail) == ("interrupted", "its Job was deleted from outside")


async def test_a_namespace_that_is_not_ours_is_refused(harbour: Harbour) -> None:
    with pytest.raises(Permanent, match=r"namespace 'keptn': .* jobs, other only"):
        await harbour.run(Play(), namespace="keptn")


async def test_a_foreign_job_of_that_name_is_left_alone(harbour: Harbour) -> None:
    metadata = {"name": f"firstmate-{harbour.key}", "namespace": "jobs"}
    harbour.kube.store.create("jobs", {"metadata": metadata})
    with pytest.raises(Permanent, match=r'jobs "firstmate-\w+" already exists'):
        await harbour.run(Play())


async def test_what_the_cluster_refuses_is_told_in_its_words(harbour: Harbour) -> None:
    with pytest.raises(Permanent, match=r"refuses the Job: .*imagePullPolicy: Unsupported value"):
        await harbour.run(Play(), pull_policy="always")


@pytest.mark.parametrize(
    ("play", "result"),
    [
        (Play(message='{"result": "warning"}'), b'{"result": "warning"}'),
        (Play(code=1, output=b"all\nis lost\n"), b""),
        (Play(code=1, output=b"told", message='{"message": "why"}'), b'{"message": "why"}'),
        (Play(code=1, output=b'{"a": 1}\n{"b": 2}\n'), b""),
        (Play(message="{broken"), b"{broken"),
        (Play(message="x" * 4096), b"x" * 4096 + b" "),
    ],
)
async def test_a_result_file_is_told_and_a_logs_tail_is_none(
    harbour: Harbour, play: Play, result: bytes
) -> None:
    assert (await harbour.run(play)).result == result


async def test_a_long_log_keeps_its_head_its_tail_and_an_exact_count(harbour: Harbour) -> None:
    await harbour.run(Play(output=b"begin" + b"x" * (2 << 20) + b"end", code=1))
    output = harbour.engine.logs(harbour.key)
    assert output.total == (2 << 20) + 8
    assert len(output.head) + len(output.tail) == 1 << 20
    assert output.head.startswith(b"beginx")
    assert output.tail.endswith(b"xend")


async def test_a_log_without_end_is_read_in_bounds(
    harbour: Harbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.engines.kubernetes.output.MOST_BYTES", 1000)
    monkeypatch.setattr("app.engines.kubernetes.output.TAIL_LINES", 10)
    await harbour.run(Play(output=b"".join(b"line %03d\n" % n for n in range(500))))
    assert harbour.text().startswith("line 000\n")
    assert harbour.text().endswith("line 499\n")
    assert len(harbour.text()) < 1200


async def test_a_log_is_followed_while_somebody_asks(harbour: Harbour) -> None:
    job = harbour.begin(Play(seconds=600, output=b"begun\n"))
    await eventually(harbour.is_running)
    assert harbour.kube.calls["get", "pods/log"] == 0
    await eventually(lambda: harbour.text() == "begun\n")
    harbour.kube.life(harbour.key).printed += b"more\n"
    await eventually(lambda: harbour.text() == "begun\nmore\n")
    assert harbour.kube.calls["get", "pods/log"] == 1
    await harbour.engine.cancel(harbour.key)
    await job


async def test_what_is_cancelled_before_its_launch_gets_no_job(harbour: Harbour) -> None:
    await harbour.engine.cancel(harbour.key)
    ended = await harbour.run(Play())
    assert ended.cause == "cancelled"
    assert harbour.kube.calls["create", "jobs"] == 0


async def test_another_process_may_ask_for_a_log_to_be_followed(harbour: Harbour) -> None:
    job = harbour.begin(Play(seconds=600, output=b"begun\n"))
    await eventually(harbour.is_running)
    marks = harbour.folder / "jobs" / spool.WANTED
    (marks / harbour.key).touch()
    (marks / "never-launched").touch()
    await eventually(lambda: harbour.engine._outputs.read(harbour.key).text() == "begun\n")
    assert not list(marks.iterdir())
    await harbour.engine.cancel(harbour.key)
    await job


async def test_the_output_outlives_the_pod_until_it_is_forgotten(harbour: Harbour) -> None:
    await harbour.run(Play(output=b"told\n"))
    await harbour.restart()
    harbour.engine.clear(harbour.key)
    assert harbour.text() == "told\n"
    harbour.engine.forget(harbour.key)
    assert harbour.text() == ""


async def test_nobody_else_can_read_what_jobs_print(harbour: Harbour) -> None:
    await harbour.run(Play(output=b"x"))
    kept = harbour.folder / "jobs" / harbour.key
    assert kept.stat().st_mode & 0o077 == 0
    assert (kept / "output").stat().st_mode & 0o077 == 0


async def test_nothing_of_ours_is_left_when_all_have_ended(harbour: Harbour) -> None:
    await asyncio.gather(*(harbour.run(Play(), f"key-{n}") for n in range(20)))
    assert not harbour.engine._flights
    for name in list(harbour.kube.jobs.lives):
        harbour.kube.store.delete("jobs", "jobs", name)
        harbour.kube.store.delete("pods", "jobs", harbour.kube.jobs.lives[name].pod)
    await eventually(lambda: not harbour.engine._mirrors["jobs"].records)
