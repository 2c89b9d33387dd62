"""Whatever a file of routes or an event holds: documents, or lines with their places."""

import json
import re
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from app.document.typed import FileError, homes
from app.events import parse
from app.notifiers import notice, webhook
from app.notifiers.channel import Channel, RoutesFile
from app.routes import read

ANY_TIME = settings(deadline=None)  # other tests may have the machine
WORDS = st.sampled_from(["", "a", "*", "chat", "{{ line }}", "{{ lime }}", "log", None, 1, True])
TEMPLATES = st.recursive(WORDS, lambda inner: st.lists(inner) | st.dictionaries(WORDS, inner))
VALUES = WORDS | TEMPLATES | st.fixed_dictionaries({"file": WORDS}, optional={"env": WORDS})
PARTS = st.dictionaries(st.sampled_from(sorted(homes(RoutesFile))), VALUES) | WORDS
LISTS = st.lists(PARTS, max_size=3) | PARTS
FILES = st.fixed_dictionaries({"apiVersion": st.just("firstmate/v1")}, optional={
    "channels": LISTS, "routes": LISTS,
})  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
KEYS = st.sampled_from(
    ["project", "stage", "service", "status", "result", "message", "labels", "problem"]
)
EVENTS = st.fixed_dictionaries(
    {
        "id": st.text(min_size=1),
        "type": st.text(min_size=1) | st.just("sh.keptn.event.dev.delivery.finished"),
        "data": JSON | st.dictionaries(KEYS, JSON),
    },
    optional={"time": st.text() | st.datetimes().map(str), "shkeptncontext": st.text()},
)


def problems(text: str) -> tuple[str, ...]:
    """What is told of a file; any other error than our own fails the test."""
    try:
        read(text, "f")
    except FileError as error:
        return error.problems
    return ()


@pytest.mark.slow
@ANY_TIME
@given(FILES.map(yaml.safe_dump) | st.text() | st.text("a:-{}[]&* \n"))
def test_any_file_is_read_or_refused_with_lines(text: str) -> None:
    assert all(re.match(r"f:\d+:\d+: .", problem) for problem in problems(text))


@pytest.mark.parametrize("key", ["channels", "routes"])
@pytest.mark.parametrize("value", ["", "[]", "{}", "[null]", "[[]]", "x", "[{template: null}]"])
def test_what_is_missing_is_refused_or_nothing(key: str, value: str) -> None:
    found = problems(f"apiVersion: firstmate/v1\n{key}: {value}")
    assert bool(found) == (value not in ("", "[]"))


@pytest.mark.slow
@ANY_TIME
@given(EVENTS, st.sampled_from(sorted(webhook.PLATFORMS)))
def test_any_event_becomes_a_document(document: dict[str, Any], form: Any) -> None:
    event = parse.Event.model_validate({"specversion": "1.0", "source": "fuzz", **document})
    found = notice.of(event, "http://bridge")
    again = notice.Notice.model_validate_json(found.model_dump_json())
    assert again == found
    channel = Channel.model_construct(name="chat", format=form)
    assert "{{ " not in json.dumps(webhook.rendered(found, channel)) or "{{ " in str(document)
