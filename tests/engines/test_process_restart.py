"""Jobs outlive the service that launched them: run once, found again, or told to be interrupted."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from app.engines.contract import Ended
from tests.engines.conftest import Yard, is_alive, shell
from tests.ship import eventually

pytestmark = pytest.mark.slow


def line(file: Path, then: str = "") -> tuple[str, str, str]:
    """A job that adds a line to a file, and does something then."""
    return shell(f"echo x >> {file}; {then}")


async def test_however_often_it_is_launched_it_runs_once(own_yard: Yard, tmp_path: Path) -> None:
    file = tmp_path / "lines"
    assert await own_yard.run(*line(file)) == Ended(0)
    assert await own_yard.run(*line(file)) == Ended(0)
    await own_yard.engine.close()
    own_yard.restarted()
    assert await own_yard.run(*line(file)) == Ended(0)
    assert file.read_text() == "x\n"


async def test_a_new_engine_waits_for_what_the_old_one_launched(
    own_yard: Yard, tmp_path: Path
) -> None:
    file, go = tmp_path / "lines", tmp_path / "go"
    os.mkfifo(go)
    job = own_yard.begin(*line(file, f"read word < {go}; echo $word; exit 4"))
    await eventually(file.exists)
    job.cancel()
    await own_yard.engine.close()
    own_yard.restarted()
    attached = asyncio.create_task(own_yard.engine.attach(own_yard.key))
    await asyncio.to_thread(go.write_text, "told\n")
    assert await attached == Ended(4)
    assert (file.read_text(), own_yard.text()) == ("x\n", "told\n")


async def test_a_new_engine_can_cancel_what_the_old_one_launched(
    own_yard: Yard, tmp_path: Path
) -> None:
    file = tmp_path / "lines"
    job = own_yard.begin(*line(file, "sleep 300"))
    await eventually(file.exists)
    job.cancel()
    await own_yard.engine.close()
    own_yard.restarted()
    attached = asyncio.create_task(own_yard.engine.attach(own_yard.key))
    while not attached.done():
        await own_yard.engine.cancel(own_yard.key)
        await asyncio.sleep(0.01)
    assert (await attached) == Ended(143, "cancelled", "ended by signal SIGTERM")


async def test_an_end_that_nobody_waited_for_is_told_later(own_yard: Yard) -> None:
    job = own_yard.begin(*shell("exit 6"))
    await eventually((own_yard.place / "exit.json").exists)
    job.cancel()
    await own_yard.engine.close()
    own_yard.restarted()
    assert await own_yard.engine.attach(own_yard.key) == Ended(6)


async def test_what_was_never_launched_cannot_be_found(own_yard: Yard) -> None:
    assert await own_yard.engine.attach("never") is None


async def test_a_supervisor_that_is_killed_interrupts_and_its_orphan_is_ended(
    own_yard: Yard, tmp_path: Path
) -> None:
    job = own_yard.begin(*shell("echo $$; sleep 300"))
    await eventually(lambda: own_yard.text().endswith("\n"))
    os.kill(own_yard.supervisor(), signal.SIGKILL)
    ended = await job
    assert (ended.cause, ended.code) == ("interrupted", None)
    await eventually(lambda: not is_alive(int(own_yard.text())))
    assert await own_yard.run("true", key="next") == Ended(0)


async def test_an_orphan_of_a_killed_supervisor_is_ended_by_the_next_service(
    own_yard: Yard,
) -> None:
    job = own_yard.begin(*shell("echo $$; sleep 300"))
    await eventually(lambda: own_yard.text().endswith("\n"))
    await own_yard.engine.close()
    job.cancel()
    os.kill(own_yard.supervisor(), signal.SIGKILL)
    assert is_alive(int(own_yard.text()))
    own_yard.restarted()
    assert await own_yard.engine.attach(own_yard.key) is None
    await eventually(lambda: not is_alive(int(own_yard.text())))


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


async def test_a_supervisor_ends_when_there_is_neither_job_nor_service(own_yard: Yard) -> None:
    await own_yard.run("true")
    pid = own_yard.supervisor()
    await own_yard.engine.close()
    await eventually(lambda: not is_alive(pid))
