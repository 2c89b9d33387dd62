"""The schema that editors get agrees with what is read."""

from typing import Any

import jsonschema_rs
import pytest
import yaml

from app.document.typed import FileError, homes
from app.jobconfig.editor import schema
from app.jobconfig.read import JobConfig, read
from tests.jobconfig.test_formats import HISTORY, file
from tests.jobconfig.test_quirks import FIELDS, PLACES

VALIDATOR = jsonschema_rs.Draft202012Validator(schema())
DIFFERENT = {
    "cmd: echo hi": "in older files it is valid, and the schema knows no versions",
    "silent: N": "other readers than Go's take it for a text, so that an editor shall mark it",
    "name: '*'": "a regular expression is not looked into",
    "name: '*.triggered'": "a regular expression is not looked into",
    "maxPollDuration: 1.5": "a fraction is cut off silently, so that an editor shall mark it",
}
"""Lines of which the schema says otherwise than `read`."""


def is_read(text: str) -> bool:
    try:
        read(text)
    except FileError:
        return False
    return True


def is_valid(text: str) -> bool:
    return VALIDATOR.is_valid(yaml.safe_load(text))


def test_the_schema_is_one() -> None:
    assert schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert jsonschema_rs.meta.is_valid(schema())
    schema()["properties"].clear()
    assert schema()["properties"].keys() == {"apiVersion", "actions"}


@pytest.mark.parametrize("line", HISTORY)
def test_the_keys_of_every_version_are_known(line: str) -> None:
    assert is_valid(file("firstmate/v1", line))


@pytest.mark.parametrize("line", [row[1] for row in FIELDS])
def test_fields_are_valid_as_they_are_read(line: str) -> None:
    where = next(place for place, row, _ in FIELDS if row == line)
    version = "" if line.startswith("apiVersion") else "apiVersion: v2\n"
    text = version + PLACES[where][0].format(line)
    assert (is_valid(text) == is_read(text)) is (line not in DIFFERENT)


def test_a_command_may_be_one_text_as_in_old_files() -> None:
    assert is_valid(file("v1", "cmd: echo hi"))
    assert is_valid(file("v2", "cmd: [echo, hi]"))


@pytest.mark.parametrize(
    "line",
    [
        "retries: -1",
        "retries: 101",
        "logs: loud",
        "onFailure: 1",
        "network: host",
        "activeDeadlineSeconds: 0",
    ],
)
def test_our_keys_have_their_ranges(line: str) -> None:
    assert not is_valid(file("firstmate/v1", line))
    assert not is_read(file("firstmate/v1", line))


def parts(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [document, *document["$defs"].values()]


def test_every_key_of_the_model_is_there_and_no_other() -> None:
    keys = {key for part in parts(schema()) for key in part["properties"]}
    assert keys == homes(JobConfig).keys()
    assert all(part["additionalProperties"] is False for part in parts(schema()))


def test_parts_and_our_keys_are_described_in_one_line() -> None:
    tasks = schema()["$defs"]["Task"]["properties"]
    told = [part["description"] for part in parts(schema())]
    told += [tasks[key]["description"] for key in ("onFailure", "logs", "retries", "network")]
    assert all(text and "\n" not in text for text in told)
