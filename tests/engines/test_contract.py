"""What every engine promises: over processes, the stand-in's containers, real ones, Kubernetes.

Which of it cannot hold in a cluster, and why, stands in `tests.kube.yard`.
"""

import asyncio
import json

import pytest

from app.engines.contract import RESULT_BYTES, Ended
from app.errors import Permanent
from tests.engines.conftest import AMPLE, Yard, shell
from tests.ship import eventually

pytestmark = pytest.mark.slow

HERE = '"$KEPTN_FILES_DIR"'
BEAT = f"while :; do echo x >> {HERE}/beat; sleep 0.05; done"


def line(then: str = "") -> tuple[str, str, str]:
    """A job that adds a line to its file `lines`, and does something then."""
    return shell(f"echo x >> {HERE}/lines; {then}")


async def comes_to_rest(yard: Yard) -> bool:
    """Whether nobody writes `beat` any more."""
    before = yard.told("beat")
    await asyncio.sleep(0.3)
    return before == yard.told("beat") != ""


@pytest.mark.parametrize("code", [0, 7, 125, 255])
async def test_an_exit_code_is_told(any_yard: Yard, code: int) -> None:
    ended = await any_yard.run(*shell(f"exit {code}"))
    assert (ended.code, ended.cause, ended.passed) == (code, "run", code == 0)


async def test_both_streams_are_kept(any_yard: Yard) -> None:
    await any_yard.run(*shell("echo one; echo two >&2; echo three"))
    assert sorted(any_yard.text().splitlines()) == ["one", "three", "two"]


async def test_standard_input_is_empty(any_yard: Yard) -> None:
    assert (await any_yard.run("cat")).passed


async def test_a_command_that_is_not_there_could_not_be_started(any_yard: Yard) -> None:
    ended = await any_yard.run("no-such-command")
    assert (ended.cause, ended.code) == ("start", 127)
    assert "no-such-command" in ended.detail


async def test_variables_arrive_as_they_are(any_yard: Yard) -> None:
    env = {
        "PLAIN": "a b",
        "QUOTES": "\"a\" 'b'",
        "LINES": "one\n two \n",
        "JSON": '{"a": "b#c", "d": "\\n"}',
        "ODD": "#x $HOME `id` %%=",
        "EMPTY": "",
        "SPACES": "  x  ",
        "LETTERS": "äß€",
    }
    script = "".join(f'printf "%s\\0" "${name}";' for name in env)
    assert (await any_yard.run(*shell(script), env=env)).passed
    assert any_yard.text().split("\0")[:-1] == list(env.values())


async def test_references_expand_as_in_kubernetes(any_yard: Yard) -> None:
    await any_yard.run(
        *("printf", "%s\\n"),
        env={"A": "1", "B": "$(A)2"},
        args=("$(A)", "$(B)", "$(NONE)", "$$(A)", "$$$$", "$A", "$()", "x$(A)y$(A)", "$(A"),
    )
    assert any_yard.text().splitlines() == [
        *("1", "12", "$(NONE)", "$(A)", "$$", "$A", "$()", "x1y1", "$(A")
    ]


async def test_files_stand_where_the_task_expects_them(any_yard: Yard) -> None:
    files = {"a.txt": b"one\n", "helm/deep/b.txt": b"two\n", "odd name.bin": bytes(range(256))}
    script = f'cd {HERE}; cat a.txt helm/deep/b.txt; wc -c < "odd name.bin"; echo > helm/new'
    assert (await any_yard.run(*shell(script), files=files)).passed
    assert any_yard.text().split() == ["one", "two", "256"]
    assert (any_yard.files / "helm/new").exists()


async def test_keptn_paths_lead_to_the_files(any_yard: Yard) -> None:
    ended = await any_yard.run(
        *("cat", "/keptn/a", "b"), files={"a": b"1", "sub/b": b"2"}, working_dir="/keptn/sub"
    )
    assert (ended.passed, any_yard.text()) == (True, "12")


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "", "a\0b", "\ud800"])
async def test_no_file_leaves_the_tasks_folder(any_yard: Yard, name: str) -> None:
    with pytest.raises(Permanent, match="leaves the task's folder"):
        await any_yard.run("true", files={name: b"x"})


async def test_a_file_that_cannot_be_written_is_told(any_yard: Yard) -> None:
    ended = await any_yard.run("true", files={"a": b"", "a/b": b""})
    assert ended.cause == "create"
    assert "keptn/a: " in ended.detail


async def test_a_result_is_read_after_the_end(any_yard: Yard) -> None:
    ended = await any_yard.run(*shell('printf {} > "$KEPTN_RESULT_FILE"; exit 3'))
    assert (ended.code, ended.result) == (3, b"{}")


async def test_a_result_that_is_too_long_is_known_to_be(any_yard: Yard) -> None:
    ended = await any_yard.run(*shell('head -c 9000 /dev/zero > "$KEPTN_RESULT_FILE"'))
    assert len(ended.result) == RESULT_BYTES + 1


async def test_output_can_be_read_while_it_is_printed(any_yard: Yard) -> None:
    job = any_yard.begin(*shell("echo begun; sleep 300"))
    await eventually(lambda: any_yard.text() == "begun\n")
    await any_yard.engine.cancel(any_yard.key)
    await job


async def test_what_prints_much_keeps_its_head_its_tail_and_an_exact_count(any_yard: Yard) -> None:
    size = 2 * 1024 * 1024
    script = f"printf begin; head -c {size} /dev/zero | tr '\\0' x; printf end"
    assert (await any_yard.run(*shell(script))).passed
    output = any_yard.engine.logs(any_yard.key)
    assert output.total == size + 8
    assert len(output.head) + len(output.tail) == 1024 * 1024
    assert (output.head[:5], output.tail[-3:]) == (b"begin", b"end")


async def test_a_deadline_ends_all_of_it(any_yard: Yard) -> None:
    ended = await any_yard.run(*shell(BEAT), deadline=AMPLE)
    assert ended.cause == "timeout"
    assert await comes_to_rest(any_yard)


async def test_a_cancelled_job_ends_and_says_so(any_yard: Yard) -> None:
    job = any_yard.begin(*shell(BEAT))
    await eventually(lambda: any_yard.told("beat") != "")
    await any_yard.engine.cancel(any_yard.key)
    assert (await job).cause == "cancelled"
    assert await comes_to_rest(any_yard)


async def test_cancelling_what_is_not_there_does_nothing(any_yard: Yard) -> None:
    await any_yard.engine.cancel("never")
    await any_yard.run("true")
    await any_yard.engine.cancel(any_yard.key)
    assert await any_yard.engine.attach(any_yard.key) == Ended(0)


async def test_however_often_it_is_launched_it_runs_once(any_yard: Yard) -> None:
    both = [any_yard.run(*line("sleep 0.3; exit 4")) for _ in range(2)]  # either may be first
    assert [one.code for one in await asyncio.gather(*both)] == [4, 4]
    await any_yard.restart()
    assert (await any_yard.run(*line())).code == 4
    assert any_yard.told("lines") == "x\n"


async def test_a_new_engine_waits_for_what_the_old_one_launched(any_yard: Yard) -> None:
    script = f'until [ -e {HERE}/go ]; do sleep 0.05; done; echo r > "$KEPTN_RESULT_FILE"; exit 4'
    job = any_yard.begin(*line(f"echo told; {script}"))
    await eventually(lambda: any_yard.told("lines") == "x\n")
    job.cancel()
    await any_yard.restart()
    attached = asyncio.create_task(any_yard.engine.attach(any_yard.key))
    (any_yard.files / "go").touch()
    assert await attached == Ended(4, result=b"r\n")
    assert (any_yard.told("lines"), any_yard.text()) == ("x\n", "told\n")


async def test_a_new_engine_can_cancel_what_the_old_one_launched(any_yard: Yard) -> None:
    job = any_yard.begin(*shell(BEAT))
    await eventually(lambda: any_yard.told("beat") != "")
    job.cancel()
    await any_yard.restart()
    attached = asyncio.create_task(any_yard.engine.attach(any_yard.key))
    await any_yard.engine.cancel(any_yard.key)
    ended = await attached
    assert ended
    assert ended.cause == "cancelled"
    assert await comes_to_rest(any_yard)


async def test_an_end_that_nobody_waited_for_is_told_later(any_yard: Yard) -> None:
    job = any_yard.begin(*shell('echo r > "$KEPTN_RESULT_FILE"; exit 6'))
    await eventually(any_yard.has_ended)
    job.cancel()
    await any_yard.restart()
    assert await any_yard.engine.attach(any_yard.key) == Ended(6, result=b"r\n")


async def test_what_was_never_launched_cannot_be_found(any_yard: Yard) -> None:
    assert await any_yard.engine.attach("never") is None


async def test_when_the_supervisor_is_killed_a_container_goes_on_and_a_process_does_not(
    any_yard: Yard,
) -> None:
    script = f"while [ ! -e {HERE}/go ]; do echo x >> {HERE}/beat; sleep 0.05; done; exit 5"
    job = any_yard.begin(*shell(script))
    await eventually(lambda: any_yard.told("beat") != "")
    any_yard.kill_supervisor()
    if not any_yard.cli:
        assert (await job).cause == "interrupted"
        assert await comes_to_rest(any_yard)
        return
    (any_yard.files / "go").touch()
    assert await job == Ended(5)


async def test_the_next_service_finds_a_container_whose_supervisor_was_killed(
    any_yard: Yard,
) -> None:
    script = f"echo told; while [ ! -e {HERE}/go ]; do echo x >> {HERE}/beat; sleep 0.05; done"
    job = any_yard.begin(*shell(script))
    await eventually(lambda: any_yard.told("beat") != "" and any_yard.text() == "told\n")
    await any_yard.engine.close()
    job.cancel()
    any_yard.kill_supervisor()
    any_yard.restarted()
    attached = asyncio.create_task(any_yard.engine.attach(any_yard.key))
    if not any_yard.cli:
        assert await attached is None
        assert await comes_to_rest(any_yard)
        return
    (any_yard.files / "go").touch()
    assert await attached == Ended(0)
    assert any_yard.text() == "told\n"


async def test_what_the_task_was_given_goes_and_its_output_stays(any_yard: Yard) -> None:
    await any_yard.run(*shell("echo told"), files={"a": b""})
    any_yard.engine.clear(any_yard.key)
    await any_yard.restart()
    assert not any_yard.files.exists()
    assert any_yard.text() == "told\n"
    any_yard.engine.forget(any_yard.key)
    assert not any_yard.place.exists()


async def test_nobody_else_can_read_what_jobs_leave(any_yard: Yard) -> None:
    await any_yard.run("true", files={"a": b""})
    assert any_yard.folder.stat().st_mode & 0o077 == 0
    assert any_yard.place.stat().st_mode & 0o077 == 0
    assert (any_yard.place / "output").stat().st_mode & 0o077 == 0


async def test_what_was_told_of_the_end_is_there_however_it_is_asked(any_yard: Yard) -> None:
    ended = await any_yard.run(*shell("exit 9"))
    assert json.loads((any_yard.place / "exit.json").read_text())["code"] == 9
    assert await any_yard.engine.attach(any_yard.key) == ended
    assert not (any_yard.place / "private").exists()
