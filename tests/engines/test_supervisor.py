"""The supervisor as a process of its own: what it survives, and when it ends."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.engines.contract import Ended
from tests.engines.conftest import Yard, is_alive, shell
from tests.ship import eventually

pytestmark = pytest.mark.slow


@pytest.fixture
async def own_yard(tmp_path: Path) -> AsyncIterator[Yard]:
    """One whose supervisor may be killed."""
    yard = Yard(tmp_path / "jobs")
    yield yard
    await yard.engine.close()


async def test_after_a_killed_one_comes_another(own_yard: Yard) -> None:
    job = own_yard.begin(*shell("echo $$; sleep 300"))
    await eventually(lambda: own_yard.text().endswith("\n"))
    own_yard.kill_supervisor()
    ended = await job
    assert (ended.cause, ended.code) == ("interrupted", None)
    await eventually(lambda: not is_alive(int(own_yard.text())))
    assert await own_yard.run("true", key="next") == Ended(0)


async def test_room_for_a_jobs_exit_is_kept_while_it_runs(own_yard: Yard) -> None:
    job = own_yard.begin(*shell("echo begun; sleep 0.3; exit 9"))
    await eventually(lambda: own_yard.text() == "begun\n")
    assert (own_yard.place / "exit.json.part").stat().st_size == 4096
    assert await job == Ended(9)
    assert not (own_yard.place / "exit.json.part").exists()


async def test_launched_again_after_that_a_job_is_interrupted_too(own_yard: Yard) -> None:
    job = own_yard.begin(*shell("echo begun; sleep 300"))
    await eventually(lambda: own_yard.text() == "begun\n")
    own_yard.kill_supervisor()
    await job
    assert (await own_yard.run("true")).cause == "interrupted"
    assert own_yard.text() == "begun\n"


async def test_a_strange_process_with_the_same_number_is_left_alone(own_yard: Yard) -> None:
    own_yard.place.mkdir()
    (own_yard.place / "job.json").write_text(f'{{"pid": {os.getpid()}, "started": "1"}}')
    assert await own_yard.engine.attach(own_yard.key) is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_signals_meant_for_the_service_leave_supervisor_and_jobs_alone(
    own_yard: Yard, number: signal.Signals
) -> None:
    job = own_yard.begin(*shell("echo begun; sleep 0.3; exit 9"))
    await eventually(lambda: own_yard.text() == "begun\n")
    os.kill(own_yard.supervisor(), number)
    assert await job == Ended(9)


async def test_a_launch_that_fails_leaves_nothing_open(own_yard: Yard) -> None:
    await own_yard.run("true", key="warm-up")
    before = open_files(own_yard.supervisor())
    for number in range(3):
        (own_yard.folder / f"full-{number}" / "job.json.part").mkdir(parents=True)
        ended = await own_yard.run("true", key=f"full-{number}")
        assert (ended.cause, ended.code) == ("start", 127)
    assert open_files(own_yard.supervisor()) == before


async def test_it_ends_when_there_is_neither_job_nor_service(own_yard: Yard) -> None:
    await own_yard.run("true")
    pid = own_yard.supervisor()
    await own_yard.engine.close()
    await eventually(lambda: not is_alive(pid))


async def test_a_hundred_megabytes_of_output_cost_nobody_memory(own_yard: Yard) -> None:
    printed, service = 100_000_000, os.getpid()
    await own_yard.run("true", key="warm-up")
    pids = (service, own_yard.supervisor())
    before = [rss(pid) for pid in pids]
    job, peaks = own_yard.begin("head", "-c", str(printed), "/dev/zero"), [0, 0]
    while not job.done():
        own_yard.engine.logs(own_yard.key)  # as somebody who follows it
        peaks = [max(peak, rss(pid)) for peak, pid in zip(peaks, pids, strict=True)]
        await asyncio.sleep(0.005)
    assert (await job).passed
    output = own_yard.engine.logs(own_yard.key)
    after = [rss(pid) for pid in pids]
    print(f"RSS of service and supervisor: before {before}, peak {peaks}, after {after}")
    assert (output.total, output.missing) == (printed, printed - 1024 * 1024)
    assert all(peak - was < printed / 10 for peak, was in zip(peaks, before, strict=True))
    assert all(late - was < printed / 10 for late, was in zip(after, before, strict=True))


def open_files(pid: int) -> int:
    """How many files a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def rss(pid: int) -> int:
    """Bytes of memory that a process holds."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
