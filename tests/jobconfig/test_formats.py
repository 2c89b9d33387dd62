"""Three formats of job-executor and our own become one model, each as strict as it was."""

import pytest

from app.document.typed import FileError
from app.jobconfig.read import JobConfig, Task, read
from tests.jobconfig.differences import BEYOND

ORDER = ["v1", "v2", "firstmate/v1"]
HISTORY = {
    "name: t": "v1",
    "files: [a]": "v1",
    "image: i": "v1",
    "env: [{name: A, value: b, valueFrom: event}]": "v1",
    "resources: {limits: {cpu: 1, memory: 1}, requests: {cpu: 1, memory: 1}}": "v1",
    "args: [a]": "v2",
    "cmd: [a]": "v2",
    "workingDir: /x": "v2",
    "maxPollDuration: 1": "v2",
    "env: [{as: json}]": "v2",
    "namespace: n": "v2",
    "imagePullPolicy: Always": "v2",
    "ttlSecondsAfterFinished: 60": "v2",
    "securityContext: {privileged: true}": "v2",
    "serviceAccount: s": "v2",
    "annotations: {a: b}": "v2",
    "annotations:": "v2",
    "onFailure: warning": "firstmate/v1",
    "logs: never": "firstmate/v1",
    "retries: 2": "firstmate/v1",
    "retries:": "firstmate/v1",
    "activeDeadlineSeconds: 60": "firstmate/v1",
    "network: none": "firstmate/v1",
    "pod: {nodeSelector: {disk: ssd}}": "firstmate/v1",
}
"""A line of a task, and the first apiVersion that may hold it."""


def file(version: str, line: str) -> str:
    return f"{version and f'apiVersion: {version}'}\nactions:\n- tasks:\n  - {line}\n"


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(FileError) as error:
        read(text, "f")
    return error.value.problems


def the_task(config: JobConfig) -> Task:
    return config.actions[0].tasks[0]


@pytest.mark.parametrize("line", HISTORY)
@pytest.mark.parametrize("version", ORDER)
def test_a_key_is_known_from_its_version_on(version: str, line: str) -> None:
    since = HISTORY[line]
    if ORDER.index(version) >= ORDER.index(since):
        assert read(file(version, line)).api_version == version
    elif line == "cmd: [a]":
        assert problems(file(version, line)) == ("f:4:5: a list as `cmd` needs apiVersion v2",)
    else:
        key, column = ("as", 12) if "as:" in line else (line.partition(":")[0], 5)
        assert problems(file(version, line)) == (
            f"f:4:{column}: key `{key}` needs apiVersion {since}",
        )


@pytest.mark.parametrize("line", HISTORY)
def test_a_file_without_version_takes_what_job_executor_knows(line: str) -> None:
    if HISTORY[line] != "firstmate/v1":
        assert read(file("", line)).actions
    else:
        (problem,) = problems(file("", line))
        assert problem.endswith("needs apiVersion firstmate/v1")


@pytest.mark.parametrize("version", ["v1", "v2", "firstmate/v1"])
def test_a_file_with_a_version_is_strict(version: str) -> None:
    unknown = "f:4:5: actions[0].tasks[0].imagePullSecrets: unknown key"
    near = "did you mean `imagePullSecrets` (a key of Pod)?"
    assert problems(file(version, "imagePullSecrets: [a]")) == (f"{unknown}, {near}",)


def test_a_file_without_version_may_hold_unknown_keys_but_no_wrong_values() -> None:
    text = "x: 1\nactions:\n- foo: {}\n  tasks: [{image: i, bar: [1], env: [{baz: x}]}]\n"
    assert the_task(read(text)).image == "i"
    assert problems(file("", "name: [a]")) == (
        "f:4:11: actions[0].tasks[0].name: must be a text, not a list",
    )
    assert problems("a: 1\na: 2\n") == ("f:2:1: key `a` is written twice",)


@pytest.mark.parametrize(("text", "is_read"), [(text, row[0]) for text, row in BEYOND.items()])
def test_a_file_without_version_is_read_otherwise_than_by_0_1_1(
    text: str, *, is_read: bool
) -> None:
    if is_read:
        assert read(text).actions
    else:
        assert problems(text)


@pytest.mark.parametrize("text", ["", "~", "# c", "actions:", "apiVersion:", "apiVersion: ''"])
def test_an_empty_file_is_a_file_without_version(text: str) -> None:
    assert read(text) == JobConfig()


@pytest.mark.parametrize(
    ("version", "line", "words"),
    [
        ("v1", "cmd: echo hi", ("echo", "hi")),
        ("v1", "image: x", ("",)),
        ("", "cmd: echo 'a  b'", ("echo", "'a", "", "b'")),
        ("", "cmd: echo null", ("echo", "null")),
        ("", "cmd: [echo, a b]", ("echo", "a b")),
        ("", "cmd:", ()),
        ("", "image: x", ()),
        ("v2", "image: x", ()),
    ],
)
def test_a_command_of_one_text_becomes_words(
    version: str, line: str, words: tuple[str, ...]
) -> None:
    assert the_task(read(file(version, line))).cmd == words


def test_a_command_that_several_tasks_share_is_split_once() -> None:
    text = "actions:\n- tasks: [&t {cmd: a b}, *t, {<<: *t, name: u}]\n- tasks: [*t]\n"
    for version in ("", "apiVersion: v1\n"):
        config = read(version + text)
        assert {task.cmd for action in config.actions for task in action.tasks} == {("a", "b")}


def test_a_command_that_is_no_text_is_refused_in_every_format() -> None:
    for version in ("", *ORDER):
        (problem,) = problems(file(version, "cmd: {a: b}"))
        assert problem.startswith("f:4:10: actions[0].tasks[0].cmd: must be a list")


def test_the_model_says_what_was_upgraded_and_that_is_no_key() -> None:
    assert read("apiVersion: v2").upgraded == ""
    assert read("apiVersion: firstmate/v1").upgraded == ""
    assert read("apiVersion: v1").upgraded.startswith("apiVersion v1: each `cmd` is one text")
    assert read("").upgraded.startswith("without apiVersion: unknown keys are ignored")
    assert problems("apiVersion: v2\nupgraded: x") == ("f:2:1: upgraded: unknown key",)
    assert "upgraded" not in read("").model_dump()


def test_our_keys_have_job_executors_behaviour_as_default() -> None:
    task = the_task(read(file("v2", "name: t")))
    assert (task.on_failure, task.logs, task.retries, task.active_deadline_seconds) == (
        None,
        None,
        0,
        None,
    )
    assert task.network == "default"
    text = file(
        "firstmate/v1", "{onFailure: continue, logs: onFailure, retries: 0x3, network: none}"
    )
    task = the_task(read(text))
    assert (task.on_failure, task.logs, task.retries) == ("continue", "onFailure", 3)
    assert task.network == "none"
