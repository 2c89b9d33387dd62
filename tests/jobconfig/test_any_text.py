"""Whatever a file, a path or an event holds: an answer, or one of our own errors."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from app.document.typed import FileError, homes
from app.errors import Permanent
from app.events.parse import Event
from app.jobconfig.env import environment, expand
from app.jobconfig.findings import examine
from app.jobconfig.match import name_matches
from app.jobconfig.paths import PathError, find
from app.jobconfig.read import JobConfig, Task, read, readable_event_names
from app.jobconfig.values import as_json, as_plain, as_yaml

pytestmark = pytest.mark.slow

ANY_TEXT = st.text(st.characters(exclude_categories=()))
YAML_LIKE = st.text("abevnt:-[]{}&*<!\"'|>#%~?, \n\t01.", max_size=60)
LINES = """\
apiVersion: v2|apiVersion: v1|apiVersion: firstmate/v1|actions:|- name: a|  events:|  - name: '*'
|  tasks: [|    cmd: x|  silent: 1|}|  tasks:|  - &t|    name: t|    cmd: a  b|    args: [*a, ~]
|    retries: 3|    logs: loud|    env: [{as: x}]|    x: {y: z}|  - *t|    <<: *t|...|---|\tx|\ud800
|    jsonpath: {property: $..a[}|    jsonpath: {property: $.a}|  <<: *a|&a|!!binary x"""
JOB_LIKE = st.lists(st.sampled_from(LINES.replace("\n|", "|").split("|"))).map("\n".join)
VERSIONS = st.sampled_from(["", "apiVersion: v1", "apiVersion: v2", "apiVersion: firstmate/v1"])
KEYS = st.sampled_from(sorted(homes(JobConfig)))
ODD = st.dictionaries(KEYS, YAML_LIKE | st.lists(st.integers() | st.floats() | st.none()))
TEXTS = st.sampled_from(["", "a", "a b", "test", "*", "$.a", "$[", None, 5, True]) | YAML_LIKE
LISTS = st.lists(TEXTS, max_size=3)


def part(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A mapping with some of these keys, most often of the right type, and seldom others."""
    right = st.fixed_dictionaries({}, optional=keys)
    return st.one_of(right, right, right, right | ODD | st.none())


ENTRIES = part(name=TEXTS, jsonpath=part(property=TEXTS, match=TEXTS))
ENV = part(name=TEXTS, value=TEXTS, valueFrom=TEXTS | st.just("event"), **{"as": TEXTS})
COMMANDS = TEXTS | LISTS
NUMBERS = st.integers() | st.integers(0, 9)
OURS = {"retries": NUMBERS, "logs": TEXTS | st.just("never"), "network": st.just("none")}
TASKS = part(name=TEXTS, image=TEXTS, cmd=COMMANDS, args=LISTS, env=st.lists(ENV, max_size=2))
ACTIONS = part(
    name=TEXTS,
    silent=st.booleans(),
    events=st.lists(ENTRIES, max_size=2),
    tasks=st.lists(TASKS | part(name=TEXTS, **OURS), max_size=3),
)


def document(version: str, actions: Any, indent: int) -> str:
    """A file of one of the formats."""
    return f"{version}\n{yaml.safe_dump({'actions': actions}, indent=indent)}"


DOCUMENTS = st.builds(document, VERSIONS, st.lists(ACTIONS, max_size=3), st.integers(2, 4))
FILES = DOCUMENTS | JOB_LIKE | YAML_LIKE | ANY_TEXT
WORDS = st.text("aby01 :#-~.'\"\n")
PATH_LIKE = st.text("$.@[]()*?:,'\"`ab_01-=!<>&| e/\\", max_size=30)
NO_SECRETS: dict[str, dict[str, str]] = {}
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
    assert error is None or isinstance(error, FileError)
    assert error is None or all(re.match(r"f:\d+:\d+: .", problem) for problem in error.problems)


@ANY_TIME
@given(FILES, st.booleans())
def test_any_file_is_examined_as_it_is_read(text: str, needs_cmd: bool) -> None:
    error = refusal(lambda: read(text, "f"))
    if error is not None:
        assert str(refusal(lambda: examine(text, "f", needs_cmd=needs_cmd))) == str(error)
        return
    told = examine(text, "f", needs_cmd=needs_cmd)
    assert told == sorted(set(told))
    assert all(one.line > 0 < one.column and one.text.isprintable() for one in told)


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
    task = Task.model_validate({"env": [entry]})
    event = Event.model_construct(id="1", source="s", type="t", specversion="1.0", data=data)
    error = refusal(lambda: environment(task, event, NO_SECRETS.__getitem__))
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
