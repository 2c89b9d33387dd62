"""The environment of a task, and what `$(NAME)` stands for."""

from typing import Any

import pytest

from app.errors import Permanent
from app.events.parse import read as event_of
from app.jobconfig.env import environment, event_map, expand
from app.jobconfig.read import Task

SCOPE = {"project": "p", "stage": "s", "service": "v"}
SECRETS = {"creds": {"USER": "u", "pass.word": "p", "KEPTN_STAGE": "s"}, "empty": {}}
KEPTN = {"KEPTN_PROJECT": "p", "KEPTN_STAGE": "s", "KEPTN_SERVICE": "v"}

BARE_DASH = (
    "could not add env with name 'A', value '$.data.a-b', valueFrom 'event': "
    'parsing error: $.data.a-b: odd keys need double quotes, as in ["build-id"]'
)


def variables(*entries: dict[str, str], **data: Any) -> dict[str, str]:
    document = {
        "specversion": "1.0",
        "id": "1",
        "source": "keptn",
        "type": "sh.keptn.event.test.triggered",
        "data": {**SCOPE, **data},
    }
    return environment(Task.model_validate({"env": list(entries)}), event_of(document), secret)


def secret(name: str) -> dict[str, str]:
    if name not in SECRETS:
        raise Permanent(f'secrets "{name}" not found')
    return SECRETS[name]


def test_keptns_names_come_after_the_users_and_win() -> None:
    mine = {"name": "KEPTN_STAGE", "value": "mine", "valueFrom": "string"}
    other = {"name": "OTHER", "value": "x", "valueFrom": "string"}
    found = variables(mine, other, labels={"build-id": "b", "a b.c": "d", "n": 1, "l": None})
    assert found == {**KEPTN, "OTHER": "x", "LABELS_BUILD_ID": "b", "LABELS_A_B.C": "d"}


def test_every_key_of_a_secret_is_a_variable_at_the_entrys_place() -> None:
    found = variables(
        {"name": "USER", "value": "before", "valueFrom": "string"},
        {"name": "FIRST", "value": "1", "valueFrom": "string"},
        {"name": "creds", "value": "unused", "valueFrom": "secret"},
        {"name": "empty", "valueFrom": "secret"},
        {"name": "pass.word", "value": "after", "valueFrom": "string"},
    )
    assert found == {**KEPTN, "USER": "u", "FIRST": "1", "pass.word": "after"}
    assert list(found)[:3] == ["USER", "FIRST", "pass.word"]


@pytest.mark.parametrize("labels", [None, [], "text", {}])
def test_odd_labels_give_no_variables(labels: Any) -> None:
    assert variables(labels=labels) == KEPTN


VALUES: list[tuple[Any, str, str]] = [
    (1234567, "", "1234567"),
    (1e6, "", "1000000"),
    (1234567.5, "", "1.2345675e+06"),
    (None, "", ""),
    (True, "", "true"),
    ([1, True, None, "<"], "", '[1,true,null,"\\u003c"]'),
    ({"b": 1, "a": "é"}, "", '{"a":"é","b":1}'),
    ("text", "JSON", '"text"'),
    ({"on": "yes", "n": 2}, "yaml", '"n": 2\n"on": "yes"\n'),
    (None, "json", "null"),
    ({"a": "...\n"}, "yaml", "a: |\n  ...\n"),
]


@pytest.mark.parametrize(("value", "form", "text"), VALUES)
def test_a_value_of_the_event_becomes_a_text(value: Any, form: str, text: str) -> None:
    entry = {"name": "A", "value": "$.data.x", "valueFrom": "event", "as": form}
    assert variables(entry, x=value)["A"] == text


ERRORS: list[tuple[dict[str, str], str]] = [
    (
        {"name": "A", "value": "$.data.x", "valueFrom": "event"},
        "could not add env with name 'A', value '$.data.x', valueFrom 'event': unknown key x",
    ),
    ({"name": "A", "value": "$.data.a-b", "valueFrom": "event"}, BARE_DASH),
    ({"name": "A", "valueFrom": "secret"}, 'secrets "A" not found'),
    ({"name": "A"}, "could not add env with name A, unknown valueFrom "),
]


@pytest.mark.parametrize(("entry", "text"), ERRORS)
def test_an_entry_that_cannot_be_filled_is_an_error(entry: dict[str, str], text: str) -> None:
    with pytest.raises(Permanent) as error:
        variables(entry)
    assert str(error.value) == text


def test_paths_see_the_attributes_that_job_executor_shows() -> None:
    event = event_of(
        {"specversion": "1.0", "id": "1", "source": "s", "type": "t", "triggeredid": "x", "data": 5}
    )
    assert event_map(event) == {
        "id": "1",
        "shkeptncontext": "",
        "time": "",
        "source": "s",
        "data": 5,
        "specversion": "1.0",
        "type": "t",
        "gitcommitid": "",
    }


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)", "1"),
        ("a$(A)b$(B)c", "a1b$(A)c"),
        ("$(NOT_SET)", "$(NOT_SET)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$$$$(A)", "$$(A)"),
        ("$A ${A}", "$A ${A}"),
        ("$(A", "$(A"),
        ("$()", "$()"),
        ("$(A$(A))", "$(A$(A))"),
        ("ends with $", "ends with $"),
        ("$$", "$"),
    ],
)
def test_references_expand_as_in_kubernetes(text: str, expanded: str) -> None:
    assert expand(text, {"A": "1", "B": "$(A)"}) == expanded
