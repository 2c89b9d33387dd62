"""What an author hears of a file that is not wrong but cannot be meant so."""

import pytest

from app.document.tree import Problem
from app.document.typed import FileError
from app.jobconfig.findings import examine

ODD = """\
apiVersion: v2
actions:
- name: a
  events:
  - name: sh.keptn.events.test.triggered
  - name: test.finishd
  - jsonpath: {property: '$.data.a-b'}
  tasks:
  - {name: t, image: i}
  - {name: u, image: i, cmd: [x]}
  - {image: j, name: t, cmd: ['']}
"""
ONLY = "matches no sh.keptn.event.<task>.triggered or .finished, and such events start jobs"
QUOTES = 'odd keys need double quotes, as in ["build-id"]'
FOUND = [
    (5, 11, f"event name `sh.keptn.events.test.triggered` {ONLY}"),
    (6, 11, f"event name `test.finishd` {ONLY}"),
    (7, 15, f"matches nothing: parsing error: $.data.a-b: {QUOTES}"),
]
NO_CMD = "a task without `cmd`: the engine in use runs commands, and does not know the image's"


def found(text: str, *, needs_cmd: bool = False) -> list[Problem]:
    return examine(text, "f", needs_cmd=needs_cmd)


def test_what_is_odd_is_told_in_the_order_of_the_file() -> None:
    assert found(ODD) == FOUND


def test_what_can_only_fail_is_told() -> None:
    env = "[{name: a}, {name: b, valueFrom: Event}, {name: c, valueFrom: event, value: '$..['}]"
    tasks = f"[{{image: i, maxPollDuration: 0, env: {env}}}]"
    told = found(f"apiVersion: v2\nactions: [{{events: [{{name: test}}], tasks: {tasks}}}]\n")
    assert [one.text.partition(":")[0] for one in told] == [
        "leaves the task no time to run in",
        "`valueFrom` must be string, event or secret, not ''",
        "`valueFrom` must be string, event or secret, not 'Event'",
        "matches nothing",
    ]


def test_an_engine_that_knows_no_images_needs_a_command() -> None:
    told = found(ODD, needs_cmd=True)
    assert sorted({*told} - {*FOUND}) == [(9, 22, NO_CMD), (11, 13, NO_CMD)]


def test_a_file_without_fault_has_no_findings() -> None:
    text = "apiVersion: firstmate/v1\nactions: [{events: [{name: test}], tasks: [{retries: 1}]}]"
    assert examine(text, "job/config.yaml") == []


def test_what_was_upgraded_is_told_where_the_version_stands() -> None:
    (upgraded,) = found("# old\napiVersion: v1\n")
    assert upgraded[:2] == (2, 13)
    assert upgraded.text.startswith("apiVersion v1: ")


def test_unknown_keys_of_a_file_without_version_are_told() -> None:
    text = "apiversion: v2\nactions:\n- {event: x, events: [{}], tasks: [{}]}\n"
    top, upgraded, nested = found(text)
    assert top == (1, 1, "apiversion: unknown key, did you mean `apiVersion` (a key of JobConfig)?")
    assert upgraded[:2] == (1, 1)
    assert nested[:2] == (3, 4)


@pytest.mark.parametrize(
    "text", ["a: [", "- a", "apiVersion: v3", "a: 1\na: 2", "actions: [{silent: 5}]"]
)
def test_a_file_that_cannot_be_used_has_problems_and_nothing_else(text: str) -> None:
    with pytest.raises(FileError, match=r"^f:[12]:"):
        examine(text, "f")
