"""What a task gets on the process engine, and what is told of its end."""

from pathlib import Path
from typing import Any

import pytest

from app.engines.contract import Ended
from app.errors import Permanent
from tests.engines.conftest import AMPLE, OURS, Yard, is_alive, shell
from tests.ship import eventually

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("name", "code"), [("SEGV", 139), ("KILL", 137), ("TERM", 143)])
async def test_a_signal_is_told_as_a_container_engine_would(
    yard: Yard, name: str, code: int
) -> None:
    ended = await yard.run(*shell(f"kill -{name} $$"))
    assert ended == Ended(code, "run", f"ended by signal SIG{name}")


async def test_a_signal_without_a_name_is_told_by_its_number(yard: Yard) -> None:
    ended = await yard.run(*shell("kill -36 $$"))
    assert ended == Ended(164, "run", "ended by signal 36")


async def test_both_streams_are_kept_in_their_order(yard: Yard) -> None:
    await yard.run(*shell("echo one; echo two >&2; echo three"))
    assert yard.text() == "one\ntwo\nthree\n"


@pytest.mark.parametrize(
    ("more", "detail"),
    [
        ({"cmd": ["no-such-command"]}, "no-such-command: No such file or directory"),
        ({"cmd": ["/etc/passwd"]}, "/etc/passwd: Permission denied"),
        ({"cmd": ["a\0b"]}, "embedded null"),
        ({"cmd": ["true"], "working_dir": "/no/such/dir"}, "/no/such/dir: No such file or dir"),
        ({"cmd": ["true"], "working_dir": "/etc/passwd"}, "/etc/passwd: Not a directory"),
        ({"cmd": ["x" * 5000]}, ": File name too long"),
        ({"cmd": ["true"], "args": ("x" * 3_000_000,)}, "true: Argument list too long"),
    ],
)
async def test_what_cannot_be_started_says_why(
    yard: Yard, more: dict[str, Any], detail: str
) -> None:
    cmd = more.pop("cmd")
    ended = await yard.run(*cmd, **more)
    assert (ended.cause, ended.code) == ("start", 127)
    assert detail in ended.detail


async def test_an_image_without_cmd_is_refused_with_the_remedy(yard: Yard) -> None:
    with pytest.raises(Permanent, match=r"'box:1' without cmd .*: add cmd to the task"):
        await yard.run()


async def test_nothing_of_our_environment_but_four_names_is_inherited(yard: Yard) -> None:
    await yard.run("env", "-0", env={"OWN": "x"})
    found = dict(line.split("=", 1) for line in yard.text().split("\0") if line)
    own = {"KEPTN_FILES_DIR": str(yard.files), "KEPTN_RESULT_FILE": str(yard.place / "result")}
    assert found == {**OURS, **own, "OWN": "x"}


async def test_the_tasks_own_variables_come_first(yard: Yard) -> None:
    await yard.run("env", env={"HOME": "/mine", "PATH": OURS["PATH"]})
    assert "HOME=/mine\n" in yard.text()


async def test_keptn_paths_point_at_the_tasks_own_folder(yard: Yard) -> None:
    env = {"MOUNTED": "/keptn/a", "PLAIN": "/keptn/a", "NEAR": "/keptnish"}
    await yard.run(
        *shell('pwd; printf "%s\\n" "$MOUNTED" "$PLAIN" "$NEAR" "$@"'),
        "/keptn",
        args=("/keptn", "/keptn/b/c", "x/keptn", "/keptnish"),
        working_dir="/keptn",
        env=env,
        mounted_env=frozenset({"MOUNTED", "NEAR"}),
    )
    mount = str(yard.place / "keptn")
    assert yard.text().splitlines() == [
        *(mount, f"{mount}/a", "/keptn/a", "/keptnish"),
        *(mount, f"{mount}/b/c", "x/keptn", "/keptnish"),
    ]


async def test_without_a_working_dir_a_task_starts_in_its_own_folder(yard: Yard) -> None:
    await yard.run("pwd")
    assert yard.text() == f"{yard.place}/keptn\n"


async def test_a_deadline_ends_the_whole_group_politely_first(yard: Yard) -> None:
    script = "trap 'echo asked; exit 3' TERM; sleep 300 & echo $!; wait"
    ended = await yard.run(*shell(script), deadline=AMPLE)
    child, asked = yard.text().split()
    assert (ended, asked) == (Ended(3, "timeout"), "asked")
    await eventually(lambda: not is_alive(int(child)))


async def test_who_does_not_heed_the_deadline_is_killed(yard: Yard) -> None:
    script = "trap '' TERM; echo $$; sleep 300 & echo $!; wait; sleep 300"
    ended = await yard.run(*shell(script), deadline=AMPLE)
    assert (ended.cause, ended.code) == ("timeout", 137)
    pids = [int(word) for word in yard.text().split()]
    await eventually(lambda: not any(map(is_alive, pids)))


async def test_no_deadline_is_too_short(yard: Yard) -> None:
    ended = await yard.run("sleep", "300", deadline=0.0)
    assert ended == Ended(143, "timeout", "ended by signal SIGTERM")


async def test_jobs_that_are_ended_before_they_begin_harm_no_others(yard: Yard) -> None:
    late = [
        yard.begin("sleep", "300", key=f"{yard.key}-{number}", deadline=0.0)
        for number in range(400)
    ]
    assert {(await job).cause for job in late} == {"timeout"}


async def test_what_a_job_leaves_in_the_background_ends_with_it(yard: Yard) -> None:
    assert (await yard.run(*shell("sleep 300 & echo $!"))).passed
    await eventually(lambda: not is_alive(int(yard.text())))


async def test_a_job_may_close_its_output_and_go_on(yard: Yard) -> None:
    ended = await yard.run(*shell("exec >&- 2>&-; sleep 0.1; exit 5"))
    assert ended == Ended(5)


async def test_what_the_tasks_folder_holds_goes_and_its_output_stays(yard: Yard) -> None:
    await yard.run(*shell("echo told; touch file"))
    assert (yard.place / "keptn" / "file").exists()
    yard.engine.clear(yard.key)
    assert not (yard.place / "keptn").exists()
    assert yard.text() == "told\n"
    yard.engine.forget(yard.key)
    assert not yard.place.exists()
    assert yard.text() == ""


async def test_a_long_data_folder_is_no_hindrance(tmp_path: Path) -> None:
    yard = Yard(tmp_path / ("x" * 100) / ("y" * 100))
    assert (await yard.run("true")).passed
    await yard.engine.close()


async def test_three_hundred_jobs_at_the_same_time(yard: Yard) -> None:
    jobs = [
        yard.begin(
            *shell("sleep 0.5; echo $N; exit $N"),
            key=f"{yard.key}-{number}",
            env={"N": str(number)},
        )
        for number in range(300)
    ]
    for number, job in enumerate(jobs):
        assert await job == Ended(number % 256)
        assert yard.text(f"{yard.key}-{number}") == f"{number}\n"
