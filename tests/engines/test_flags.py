"""A task's keys as flags of docker and podman."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from app.engines import flags
from app.errors import Permanent
from app.jobconfig.schema import Resources, SecurityContext
from tests.works import task

MANUALS = json.loads((Path(__file__).parent / "flags.json").read_text())


def limits(**given: str) -> Resources:
    return Resources.model_validate({"limits": given, "requests": {"cpu": "7", "memory": "7Gi"}})


def security(**given: Any) -> SecurityContext:
    return SecurityContext.model_validate(given)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, []),
        ({"working_dir": "/x"}, ["--workdir", "/x"]),
        ({"network": False}, ["--network", "none"]),
        ({"pull_policy": "Always"}, ["--pull", "always"]),
        ({"pull_policy": "IfNotPresent"}, ["--pull", "missing"]),
        ({"pull_policy": "Never"}, ["--pull", "never"]),
        ({"resources": limits(cpu="50m")}, ["--cpus", "0.050"]),
        ({"resources": limits(cpu="0.5")}, ["--cpus", "0.5"]),
        ({"resources": limits(cpu="100000")}, ["--cpus", str(os.cpu_count())]),
        ({"resources": limits(memory="128Mi")}, ["--memory", "134217728"]),
        ({"resources": limits(memory="1.5G")}, ["--memory", "1500000000"]),
        ({"resources": limits(memory="2e8")}, ["--memory", "200000000"]),
        ({"resources": limits(memory="1000")}, ["--memory", "1000"]),
        ({"resources": limits(memory="64E")}, ["--memory", "64000000000000000000"]),
        ({"resources": limits(memory="4000000k")}, ["--memory", "4000000000"]),
        ({"resources": limits()}, []),
        ({"security": security(runAsUser=1000)}, ["--user", "1000"]),
        ({"security": security(runAsUser=0, runAsGroup=0)}, ["--user", "0:0"]),
        ({"security": security(readOnlyRootFilesystem=True)}, ["--read-only"]),
        ({"security": security(readOnlyRootFilesystem=False)}, []),
        ({"security": security(privileged=True)}, ["--privileged"]),
        (
            {"security": security(capabilities={"drop": ["ALL"], "add": ["CHOWN", "KILL"]})},
            ["--cap-drop", "ALL", "--cap-add", "CHOWN", "--cap-add", "KILL"],
        ),
        (
            {"security": security(allowPrivilegeEscalation=False)},
            ["--security-opt", "no-new-privileges"],
        ),
        ({"security": security(allowPrivilegeEscalation=True)}, []),
        ({"security": security(seccompProfile={"type": "RuntimeDefault"})}, []),
        (
            {"security": security(seccompProfile={"type": "Unconfined"})},
            ["--security-opt", "seccomp=unconfined"],
        ),
    ],
    ids=str,
)
def test_a_key_becomes_its_flag(keys: dict[str, Any], expected: list[str]) -> None:
    assert flags.of(task(**keys)) == expected


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"pull_policy": "always"}, "imagePullPolicy 'always' is none of Always, IfNotPresent, "),
        ({"resources": limits(cpu="half")}, "limits.cpu 'half' is no quantity"),
        ({"resources": limits(memory="-1")}, "limits.memory '-1' is no quantity"),
        ({"resources": limits(memory="1e999999999")}, "is no quantity"),
        ({"security": security(runAsGroup=1)}, "runAsGroup without runAsUser"),
        (
            {"security": security(seccompProfile={"type": "Localhost"})},
            "seccompProfile 'Localhost'",
        ),
    ],
    ids=str,
)
def test_what_cannot_be_served_is_refused(keys: dict[str, Any], words: str) -> None:
    with pytest.raises(Permanent, match=words.replace("(", r"\(")):
        flags.of(task(**keys))


@pytest.mark.parametrize(
    ("cmd", "args", "expected"),
    [
        ((), (), ["box:1"]),
        ((), ("a", "b"), ["box:1", "a", "b"]),
        (("x",), (), ["--entrypoint", "x", "box:1"]),
        (("x", "y"), ("a",), ["--entrypoint", "x", "box:1", "y", "a"]),
        (("$(V)",), ("$$(V)", "$(W)"), ["--entrypoint", "v", "box:1", "$(V)", "$(W)"]),
    ],
)
def test_command_and_args_are_given_as_by_kubernetes(
    cmd: tuple[str, ...], args: tuple[str, ...], expected: list[str]
) -> None:
    assert flags.command(task(image="box:1", cmd=cmd, args=args), {"V": "v"}) == expected


@pytest.mark.parametrize("image", ["", "--privileged", "docker-archive:/etc", "a b", "oci:/x", "ä"])
def test_what_is_no_images_name_is_refused(image: str) -> None:
    with pytest.raises(Permanent, match="no image's name"):
        flags.command(task(image=image), {})


@pytest.mark.parametrize("image", ["alpine", "localhost:5000/a/b:1", "x.io/a@sha256:0a1b", "A_b:C"])
def test_an_images_name_is_taken(image: str) -> None:
    assert flags.command(task(image=image), {}) == [image]


def test_only_what_every_cli_reads_alike_stands_in_the_env_file() -> None:
    odd = {"LINES": "a\nb", "QUOTES": '"a"', "HASH": "a#b", "SPACE": " a", "A.B": "x", "LONG": "x"}
    odd["LONG"] *= 70_000
    plain = {"PLAIN": "a b=c,ä", "EMPTY": "", "HOME": "/root", "PATH": "/bin"}

    assert flags.split({**odd, **plain}) == (plain, odd)


def test_a_name_that_no_variable_can_have_is_left_out() -> None:
    assert flags.split({"a b": "x", "#a": "x", "a*": "x\n"}) == ({}, {})


@pytest.mark.parametrize("name", ["PATH", "HOME", "DOCKER_HOST", "LD_PRELOAD", "https_proxy"])
def test_a_value_of_several_lines_cannot_steer_the_cli(name: str) -> None:
    with pytest.raises(Permanent, match=f"env {name}: .* give it another name"):
        flags.split({name: "a\nb"})
