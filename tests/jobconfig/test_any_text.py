"""Whatever a file, a path or an event holds: an answer, or one of our own errors."""

import re
from collections.abc import Callable
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import Permanent
from app.events.parse import Event
from app.jobconfig.env import environment, expand
from app.jobconfig.match import name_matches
from app.jobconfig.paths import PathError, find
from app.jobconfig.read import ConfigError, Task, read, readable_event_names
from app.jobconfig.values import as_json, as_plain, as_yaml

ANY_TEXT = st.text(st.characters(exclude_categories=()))
YAML_LIKE = st.text("abevnt:-[]{}&*<!\"'|>#%~?, \n\t01.", max_size=60)
LINES = """\
apiVersion: v2|actions:|- name: a|  events:|  - name: '*'|  tasks: [|    cmd: x|  silent: 1|}
|  <<: *a|&a|!!binary x|...|---|\tx|\ud800"""
JOB_LIKE = st.lists(st.sampled_from(LINES.split("|"))).map("\n".join)
FILES = ANY_TEXT | YAML_LIKE | JOB_LIKE
WORDS = st.text("aby01 :#-~.'\"\n")
PATH_LIKE = st.text("$.@[]()*?:,'\"`ab_01-=!<>&| e/\\", max_size=30)
ANY_TIME = settings(deadline=None)  # other tests may have the machine
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=10,
)


def refusal(ask: Callable[[], Any]) -> Permanent | None:
    """How it was refused; any other error than our own fails the test."""
    try:
        ask()
    except Permanent as error:
        return error
    return None


@ANY_TIME
@given(FILES)
def test_any_file_is_read_or_refused_with_lines(text: str) -> None:
    error = refusal(lambda: read(text, "f"))
    assert error is None or isinstance(error, ConfigError)
    assert error is None or all(re.match(r"f:\d+: .", problem) for problem in error.problems)


@ANY_TIME
@given(FILES)
def test_names_are_looked_for_in_any_text(text: str) -> None:
    assert all(name_matches(name, "x") in (True, False) for name in readable_event_names(text))


@ANY_TIME
@given(PATH_LIKE | ANY_TEXT, JSON)
def test_any_path_leads_somewhere_or_is_refused(path: str, document: Any) -> None:
    assert isinstance(refusal(lambda: find(path, document)), PathError | None)


@ANY_TIME
@given(JSON, st.sampled_from(["", "json", "yaml"]), st.just("$.data") | PATH_LIKE)
def test_any_event_gives_an_environment_or_an_error(data: Any, form: str, path: str) -> None:
    entry = {"name": "A", "value": path, "valueFrom": "event", "as": form}
    event = Event.model_construct(id="1", source="s", type="t", specversion="1.0", data=data)
    error = refusal(lambda: environment(Task.model_validate({"env": [entry]}), event))
    assert error is None or "'A'" in str(error)


@ANY_TIME
@given(JSON)
def test_any_value_can_be_written(value: Any) -> None:
    assert all(isinstance(write(value), str) for write in (as_plain, as_json, as_yaml))


@ANY_TIME
@given(st.dictionaries(WORDS, WORDS | st.booleans() | st.integers()))
def test_what_is_written_as_yaml_reads_as_the_same(value: dict[str, Any]) -> None:
    assert yaml.safe_load(as_yaml(value)) == value


@ANY_TIME
@given(ANY_TEXT, st.dictionaries(ANY_TEXT, ANY_TEXT))
def test_any_text_expands(text: str, env: dict[str, str]) -> None:
    assert isinstance(expand(text, env), str)
