"""What job-executor's description says of each key of v2, row by row, its errors included."""

from functools import reduce
from operator import getitem
from typing import Any

import pytest

from app.document.typed import FileError, homes
from app.jobconfig.match import matching
from app.jobconfig.read import JobConfig, later_keys, read
from app.jobconfig.schema import Env, Task

ALL = ("ALL",)
PROFILE = {"seccompProfile": {"type": None, "localhostProfile": "p"}}
NO_ACTIONS: list[Any] = []
A_LIST = "must be a list such as [a, b], not "
A_NUMBER = "must be a whole number without quotes, not "
A_FLAG = "must be true or false, not "

FIELDS: list[tuple[str, str, Any]] = [
    ("", "apiVersion: v3", "apiVersion v3 is not supported"),
    ("", "apiVersion: 2", "apiVersion 2 is not supported"),
    ("", "apiVersion: [v2]", "apiVersion: must be a text, not a list"),
    ("", "actions: []", ()),
    ("", "actions:", ()),
    ("", "actions: {a: b}", f"{A_LIST}a mapping"),
    ("action", "name:", ""),
    ("action", "name: 1", "1"),
    ("action", "events:", ()),
    ("action", "events: x", f'{A_LIST}the text "x"'),
    ("action", "event: [x]", "unknown key, did you mean `events` (a key of Action)?"),
    ("action", "image: x", "unknown key, did you mean `image` (a key of Task)?"),
    ("action", "silent: yes", True),
    ("action", "silent: on", True),
    ("action", "silent: N", False),
    ("action", "silent:", False),
    ("action", "silent: 1", f'{A_FLAG}the number "1"'),
    ("action", "silent: 'true'", f'{A_FLAG}the text "true"'),
    ("action", "tasks:", ()),
    ("event", "name:", ""),
    ("event", "name: '*'", "no regular expression"),
    ("event", "name: '*.triggered'", "no regular expression"),
    ("event", "jsonpath: {property: $.data.n}", {"property": "$.data.n", "match": ""}),
    ("event", "jsonpath: {match: 5}", {"property": "", "match": "5"}),
    ("event", "jsonpath: $.data", 'must be a mapping, not the text "$.data"'),
    ("task", "name:", ""),
    ("task", "files: [helm, /a]", ("helm", "/a")),
    ("task", "files: helm", f'{A_LIST}the text "helm"'),
    ("task", "image:", ""),
    ("task", "imagePullPolicy: always", "always"),
    ("task", "imagePullPolicy:", ""),
    ("task", "imagePullSecrets: [a]", "unknown key"),
    ("task", "cmd: [sh, -c, x]", ("sh", "-c", "x")),
    ("task", "cmd: echo hi", f'{A_LIST}the text "echo hi"'),
    ("task", "args: [1, true, 1.5, null, 0777, yes]", ("1", "true", "1.5", "", "0777", "yes")),
    ("task", "args: [[a]]", "must be a text, not a list"),
    ("task", "env:", ()),
    ("task", "env: {A: b}", f"{A_LIST}a mapping"),
    ("task", "resources:", None),
    (
        "task",
        "resources: {limits: {cpu: 1, memory: 64Mi}}",
        {"limits": {"cpu": "1", "memory": "64Mi"}},
    ),
    ("task", "resources: {requests: {cpu: 0.5}}", {"requests": {"cpu": "0.5", "memory": ""}}),
    ("task", "resources: {limits: {disk: 1}}", "unknown key"),
    ("task", "workingDir: /w", "/w"),
    ("task", "maxPollDuration:", None),
    ("task", "maxPollDuration: 1.5", 1),
    ("task", "maxPollDuration: 0x10", 16),
    ("task", "maxPollDuration: '5'", f'{A_NUMBER}the text "5"'),
    ("task", "namespace:", ""),
    ("task", "ttlSecondsAfterFinished: 59", 59),
    ("task", "ttlSecondsAfterFinished: '60'", f'{A_NUMBER}the text "60"'),
    ("task", "securityContext: {capabilities: {drop: [ALL]}}", {"capabilities": {"drop": ALL}}),
    ("task", "securityContext: {capabilities: {add: [ALL]}}", {"capabilities": {"add": ALL}}),
    ("task", "securityContext: {privileged: yes}", {"privileged": True}),
    ("task", "securityContext: {runAsNonRoot: no}", {"runAsNonRoot": False}),
    ("task", "securityContext: {runAsUser: 1000}", {"runAsUser": 1000}),
    ("task", "securityContext: {runAsGroup: 0}", {"runAsGroup": 0}),
    ("task", "securityContext: {runAsUser: root}", f'{A_NUMBER}the text "root"'),
    ("task", "securityContext: {readOnlyRootFilesystem: true}", {"readOnlyRootFilesystem": True}),
    ("task", "securityContext: {allowPrivilegeEscalation: maybe}", f'{A_FLAG}the text "maybe"'),
    ("task", "securityContext: {procMount: Default}", {"procMount": "Default"}),
    ("task", "securityContext: {seccompProfile: {type: T}}", {"seccompProfile": {"type": "T"}}),
    ("task", "securityContext: {seccompProfile: {localhostProfile: p}}", PROFILE),
    ("task", "securityContext: {seLinuxOptions: {user: u}}", "unknown key"),
    ("task", "serviceAccount:", None),
    ("task", "serviceAccount: ''", ""),
    ("task", "annotations: {a: 1}", {"a": "1"}),
    ("task", "annotations: [{a: b}]", "must be a mapping, not a list"),
    ("env", "name: 1", "1"),
    ("env", "value: 0123", "0123"),
    ("env", "valueFrom: configmap", "configmap"),
    ("env", "as: JSON", "JSON"),
]
"""(where the line stands, the line, its value or the problem)."""

PLACES: dict[str, tuple[str, tuple[Any, ...]]] = {
    "": ("{}", ()),
    "action": ("actions:\n- {}", ("actions", 0)),
    "event": ("actions:\n- events:\n  - {}", ("actions", 0, "events", 0)),
    "task": ("actions:\n- tasks:\n  - {}", ("actions", 0, "tasks", 0)),
    "env": ("actions:\n- tasks:\n  - env:\n    - {}", ("actions", 0, "tasks", 0, "env", 0)),
}

EVENTS: list[tuple[str, bool]] = [
    ("name: test.triggered", True),
    ("name: sh.keptn.event.mytest.triggered", True),
    ("name: sh.keptn.event.mytest.trigger", True),
    ("name: ''", True),
    ("jsonpath: {}", True),
    ("name: deploy|mytest", True),
    ("name: ^test", False),
    ("name: test.triggered.later", False),
    ("jsonpath: {property: $.data.project, match: p}", True),
    ("jsonpath: {property: data.project, match: p}", True),
    ("jsonpath: {property: $.data.missing, match: ''}", False),
    ("jsonpath: {property: $.data.n, match: 5}", True),
    ("jsonpath: {property: $.data.flag, match: true}", True),
    ("jsonpath: {property: $.data.none, match: ''}", False),
    ("jsonpath: {property: $.data.list, match: '[\"a\"]'}", False),
    ("jsonpath: {property: '$.data.list[0]', match: a}", True),
    ("jsonpath: {property: '$.data.list[-1]', match: a}", False),
    ("jsonpath: {property: '$.data[\"a-b\"]', match: x}", True),
    ("jsonpath: {property: '$.data[?(@.k > 1)]', match: x}", False),
    ("jsonpath: {property: $.type, match: sh.keptn.event.mytest.triggered}", True),
    ("jsonpath: {match: ignored}", True),
]
"""A line of an entry of `events`, and whether the entry is for the event below."""

EVENT = {
    "type": "sh.keptn.event.mytest.triggered",
    "data": {"project": "p", "n": 5, "flag": True, "none": None, "list": ["a"], "a-b": "x"},
}


def read_at(where: str, line: str) -> JobConfig:
    version = "" if line.startswith("apiVersion") else "apiVersion: v2\n"
    return read(version + PLACES[where][0].format(line))


@pytest.mark.parametrize(("where", "line", "expected"), FIELDS, ids=[row[1] for row in FIELDS])
def test_a_field_is_read_as_job_executor_reads_it(where: str, line: str, expected: Any) -> None:
    key = line.partition(":")[0]
    found: Any
    try:
        found = read_at(where, line).model_dump(by_alias=True)
    except FileError as error:
        found = str(error)
    if isinstance(found, str):
        assert isinstance(expected, str)
        assert expected in found
    else:
        assert part_of(expected, reduce(getitem, PLACES[where][1], found)[key])


def part_of(expected: Any, value: Any) -> bool:
    """Equal, but for keys of mappings that are not expected to be anything."""
    if isinstance(expected, dict) and isinstance(value, dict):
        return all(part_of(expected[key], value[key]) for key in expected)
    return bool(expected == value)


@pytest.mark.parametrize(("line", "matches"), EVENTS, ids=[row[0] for row in EVENTS])
def test_an_entry_is_for_an_event_as_in_job_executor(line: str, *, matches: bool) -> None:
    assert matching(read_at("event", line), EVENT) == ([0] if matches else NO_ACTIONS)


def test_an_action_without_events_matches_nothing_and_any_entry_is_enough() -> None:
    config = read("actions: [{}, {events: []}, {events: [{name: x}, {name: y}, {name: test}]}]")
    assert matching(config, EVENT) == [2]


OF_A_POD = {"Pod", "Volume", "EmptyDir", "SecretVolume", "ConfigMapVolume", "ClaimedVolume"}
OF_A_POD |= {"Toleration"}


def test_every_key_of_v2_has_a_row() -> None:
    written = " ".join(line for _, line, _ in FIELDS)
    ours = later_keys(Task, "v2").keys() | later_keys(Env, "v2").keys()
    assert len(ours) == 6
    known = {key for key, parts in homes(JobConfig).items() if not {*parts.split(", ")} <= OF_A_POD}
    assert [key for key in known - ours if f"{key}:" not in written] == []
