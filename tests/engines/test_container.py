"""What is the container engine's own: images, isolation, removal, and how a CLI is found."""

import contextlib
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app.clock import Clock
from app.engines import container
from app.engines.container import Cli, ContainerEngine, find_cli
from app.engines.contract import OOM_KILLED, Ended
from app.errors import Permanent
from app.jobconfig.schema import Resources, SecurityContext
from tests.engines import stand_in
from tests.engines.conftest import AMPLE, REAL_IMAGE, Yard, install_stand_in, real_cli, shell
from tests.ship import eventually

pytestmark = pytest.mark.slow


@pytest.fixture
async def real_yard(tmp_path: Path) -> AsyncIterator[Yard]:
    yard = Yard(tmp_path / "jobs", real_cli(), REAL_IMAGE)
    yield yard
    yard.engine.forget(yard.key)
    await yard.engine.close()


@pytest.fixture(params=["box", "real"])
async def any_box(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Yard]:
    """The container engine on the stand-in and for real."""
    real = request.param == "real"
    cli = real_cli() if real else request.getfixturevalue("stand_in_cli")
    yard = Yard(tmp_path / "jobs", cli, REAL_IMAGE if real else "box:1")
    yield yard
    yard.engine.forget(yard.key)
    await yard.engine.close()


def containers(yard: Yard) -> list[str]:
    """All that the engine knows of this folder."""
    assert yard.cli
    home = yard.engine._home  # type: ignore[attr-defined]
    label = f"label=sh.keptn.firstmate.home={home}"
    listed = yard.cli.ask("ps", "--all", "--format", "{{.Names}}", "--filter", label)
    return (listed or b"").decode().split()


def state(yard: Yard) -> dict[str, Any]:
    """What the stand-in was asked for."""
    assert yard.cli
    folder = Path(yard.cli.env["DOCKER_HOST"].removeprefix("unix://"))
    return dict(json.loads((folder / containers(yard)[0] / "state.json").read_text()))


def command_lines() -> list[str]:
    """Those of all processes of this machine."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(file.read_text(errors="replace"))
    return found


@pytest.mark.parametrize(
    ("keys", "printed"),
    [
        ({}, "<from the image>\n<default>\n"),
        ({"args": ("a",)}, "<from the image>\n<a>\n"),
        ({"cmd": ("echo", "x"), "args": ("y",)}, "x y\n"),
    ],
)
async def test_an_image_has_its_own_entrypoint(
    box_yard: Yard, keys: dict[str, Any], printed: str
) -> None:
    assert (await box_yard.run(*keys.pop("cmd", ()), image="greeter:1", **keys)).passed
    assert box_yard.text() == printed


async def test_an_image_that_cannot_be_pulled_is_told_as_the_cli_says_it(any_box: Yard) -> None:
    ended = await any_box.run("true", image="localhost:1/no-such-image:1")
    assert (ended.code, ended.cause) == (125, "create")
    assert "no-such-image" in ended.detail or "refused" in ended.detail
    assert "--help" not in ended.detail


async def test_no_value_of_a_variable_stands_on_a_command_line(box_yard: Yard) -> None:
    env = {"ONE": "s3cret-plain", "TWO": "s3cret\nlines"}
    job = box_yard.begin(*shell("echo begun; sleep 300"), env=env)
    await eventually(lambda: box_yard.text() == "begun\n")
    assert not any("s3cret" in line for line in command_lines())
    file = box_yard.place / "private"
    assert "ONE=s3cret-plain\n" in file.read_text()
    assert file.stat().st_mode & 0o077 == 0
    await box_yard.engine.cancel(box_yard.key)
    await job
    assert not file.exists()


async def test_nothing_of_our_environment_gets_in(any_box: Yard) -> None:
    await any_box.run("env", env={"OWN": "x"})
    found = {line.partition("=")[0] for line in any_box.text().splitlines()}
    assert {"OWN", "KEPTN_FILES_DIR", "KEPTN_RESULT_FILE"} <= found
    assert not found & {"DOCKER_HOST", "LANG", "TZ", "USER", "KEPTN_API_TOKEN"}


async def test_a_container_has_the_launch_key_for_a_label(box_yard: Yard) -> None:
    await box_yard.run("true")
    assert state(box_yard)["labels"]["sh.keptn.firstmate.key"] == box_yard.key


async def test_it_is_kept_until_the_outcome_is_saved(any_box: Yard) -> None:
    await any_box.run("true")
    assert len(containers(any_box)) == 1
    any_box.engine.clear(any_box.key)
    await any_box.restart()
    assert containers(any_box) == []


async def test_what_a_crash_left_goes_with_the_run(any_box: Yard) -> None:
    await any_box.run("true")
    await any_box.restart()
    any_box.engine.forget(any_box.key)
    await any_box.restart()
    assert containers(any_box) == []
    assert not any_box.place.exists()


async def test_a_container_removed_from_outside_is_no_riddle(any_box: Yard) -> None:
    job = any_box.begin(*shell("echo begun; sleep 300"))
    await eventually(lambda: any_box.text() == "begun\n")
    assert any_box.cli
    any_box.cli.ask("rm", "--force", containers(any_box)[0])
    ended = await job
    assert (ended.code, ended.passed) == (137, False)


async def test_a_deadline_is_kept_though_nobody_is_there_to_see(any_box: Yard) -> None:
    job = any_box.begin(*shell("trap '' TERM; echo begun; sleep 300; sleep 300"), deadline=AMPLE)
    await eventually(lambda: any_box.text() == "begun\n")
    await any_box.engine.close()
    job.cancel()
    await eventually((any_box.place / "exit.json").exists, seconds=20)
    any_box.restarted()
    ended = await any_box.engine.attach(any_box.key)
    assert ended
    assert (ended.code, ended.cause) == (137, "timeout")


async def test_a_deadline_outlives_the_supervisor(any_box: Yard) -> None:
    job = any_box.begin(*shell("echo begun; sleep 300"), deadline=AMPLE)
    await eventually(lambda: any_box.text() == "begun\n")
    any_box.kill_supervisor()
    ended = await job
    assert (ended.code, ended.cause) == (137, "timeout")


async def test_a_container_that_took_too_much_memory_says_so(box_yard: Yard) -> None:
    ended = await box_yard.run("echo", stand_in.OOM_MARK)
    assert (ended.code, ended.cause) == (137, "run")
    assert ended.detail == OOM_KILLED


async def test_an_engine_that_has_gone_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container, "ANSWER_SECONDS", 2.0)
    cli = install_stand_in(tmp_path)
    yard = Yard(tmp_path / "jobs", cli)
    await yard.run("true")
    cli.path += "-gone"
    ended = await yard.engine.attach(yard.key)
    assert ended
    assert ended.cause == "interrupted"
    assert "does not answer" in ended.detail
    await yard.engine.close()


def test_the_first_cli_that_answers_is_taken(tmp_path: Path) -> None:
    cli = install_stand_in(tmp_path)
    silent = tmp_path / "silent"
    silent.mkdir()
    (silent / "podman").write_text("#!/bin/sh\nsleep 60\n")
    (silent / "podman").chmod(0o755)
    both = {**cli.env, "PATH": f"{silent}:{tmp_path}:{cli.env['PATH']}"}

    assert getattr(find_cli("", both), "path", "") == cli.path
    assert getattr(find_cli(cli.path, both), "path", "") == cli.path
    assert find_cli("podman", both) is None
    assert find_cli("no-such-cli", both) is None
    shutil.rmtree(cli.env["DOCKER_HOST"].removeprefix("unix://"))
    assert find_cli("docker", both) is None


def test_a_folder_that_cannot_be_mounted_is_refused(tmp_path: Path, stand_in_cli: Cli) -> None:
    with pytest.raises(Permanent, match="colon"):
        ContainerEngine(stand_in_cli, tmp_path / "a:b" / "jobs", Clock())


async def test_isolation_is_the_kernels(real_yard: Yard) -> None:
    security = SecurityContext.model_validate(
        {
            "runAsUser": 1000,
            "runAsGroup": 2000,
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        }
    )
    script = """
    id -u; id -g; touch /x || echo read-only; ls /sys/class/net
    while read name value; do case $name in NoNewPrivs:|CapEff:|Seccomp:) echo $name $value;; esac
    done < /proc/self/status
    echo mine > /keptn/own && echo r > /dev/termination-log && pwd
    """
    ended = await real_yard.run(
        *shell(script),
        security=security,
        resources=Resources.model_validate({"limits": {"cpu": "500m", "memory": "64Mi"}}),
        network=False,
        working_dir="/tmp",
        pull_policy="IfNotPresent",
    )
    said = real_yard.text().split()
    assert (ended.code, ended.result) == (0, b"r\n"), real_yard.text()
    assert said[:2] == ["1000", "2000"]
    assert {"read-only", "lo", "/tmp", "0000000000000000"} <= set(said)
    assert ("NoNewPrivs: 1" in real_yard.text(), "Seccomp: 2" in real_yard.text()) == (True, True)
    assert "eth0" not in said
    assert real_yard.told("own") == "mine\n"


async def test_what_loosens_the_isolation_is_taken(real_yard: Yard) -> None:
    security = SecurityContext.model_validate(
        {"seccompProfile": {"type": "Unconfined"}, "capabilities": {"add": ["NET_ADMIN"]}}
    )
    assert (await real_yard.run("true", security=security)).passed


async def test_a_memory_limit_kills(real_yard: Yard) -> None:
    limits = Resources.model_validate({"limits": {"memory": "16Mi"}})
    script = "x=$(head -c 200000000 /dev/zero | tr '\\0' x); echo ${#x}"
    ended = await real_yard.run(*shell(script), resources=limits)
    assert ended in (Ended(137), Ended(137, "run", OOM_KILLED))  # podman may not say so
