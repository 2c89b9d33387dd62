"""What comes in: every form that Keptn's publishers use, and one clear line for all else."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import BadEvent
from app.events import parse
from tests.conftest import TRIGGERED, document, event

STRUCTURED = {"content-type": "application/cloudevents+json; charset=utf-8"}
SCOPE: dict[str, str] = TRIGGERED["data"]
BINARY = {
    "content-type": "application/json",
    "ce-specversion": "1.0",
    "ce-id": "short",
    "ce-source": "shipyard-controller",
    "ce-type": "sh.keptn.event.test.triggered",
    "ce-shkeptncontext": "6a7b8c9d-0e1f-4a2b-8c3d-4e5f6a7b8c9d",
    "ce-time": "2023-05-17T08:21:44.305123456Z",
}
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


def structured(value: Any) -> bytes:
    return json.dumps(value).encode()


def refusal(headers: dict[str, str], body: bytes) -> str:
    """The one line with which an event is refused."""
    with pytest.raises(BadEvent) as caught:
        parse.parse(headers, body)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_a_structured_event_keeps_keptns_attributes() -> None:
    extensions = {"triggeredid": "t", "gitcommitid": "c", "shkeptnspecversion": "0.2.4"}
    found = parse.parse(STRUCTURED, structured(document(**extensions)))
    assert found.task == "test"
    assert found.model_dump() == {**TRIGGERED, **extensions, "time": "", "traceparent": ""}


def test_a_binary_event_is_the_same_event() -> None:
    found = parse.parse(BINARY, structured(SCOPE))
    assert (found.id, found.task, found.data) == ("short", "test", SCOPE)
    assert found.shkeptncontext == BINARY["ce-shkeptncontext"]


def test_times_keep_their_nanoseconds() -> None:
    assert parse.parse(BINARY, structured(SCOPE)).time == BINARY["ce-time"]
    assert event(time=BINARY["ce-time"]).time == BINARY["ce-time"]


def test_the_content_type_decides_the_mode_not_a_stray_header() -> None:
    body = structured(document(id="from the body"))
    assert parse.parse({**STRUCTURED, "ce-specversion": "1.0"}, body).id == "from the body"
    plain = {"content-type": "application/json", "ce-something": "else"}
    assert parse.parse(plain, body).id == "from the body"


@pytest.mark.parametrize("event_id", ["x", "42", "../x y", "a/b\\c", "ü" * 300, "x" * 300, "\0"])
def test_an_id_may_be_any_text(event_id: str) -> None:
    assert event(id=event_id).id == event_id


def test_what_is_absent_is_empty() -> None:
    found = event(shkeptncontext=None)
    assert (found.time, found.shkeptncontext, found.gitcommitid) == ("", "", "")


@pytest.mark.parametrize("odd", [None, 5, ["x"], {"a": 1}, True])
@pytest.mark.parametrize("name", ["time", "shkeptncontext", "triggeredid", "gitcommitid"])
def test_an_optional_attribute_of_an_odd_type_is_as_good_as_none(name: str, odd: Any) -> None:
    assert getattr(parse.read({**TRIGGERED, name: odd}), name) == ""


@pytest.mark.parametrize(
    "extra", [{"contenttype": "application/json"}, {"Odd_Name": {"a": [1]}}, {"data_base64": "!"}]
)
def test_foreign_attributes_do_not_matter(extra: dict[str, Any]) -> None:
    assert parse.parse(STRUCTURED, structured(document(**extra))) == event()


@pytest.mark.parametrize("version", ["1.0", "0.3"])
def test_both_spec_versions_are_read(version: str) -> None:
    assert event(specversion=version).specversion == version
    assert parse.parse({**BINARY, "ce-specversion": version}, structured(SCOPE)).id == "short"


@pytest.mark.parametrize(
    ("labels", "kept"),
    [
        (None, {}),
        ({}, {}),
        ({"a": "b"}, {"a": "b"}),
        ({"n": 1, "f": True, "none": None, "o": {}, "t": "x"}, {"t": "x"}),
        ("text", {}),
        (["a"], {}),
    ],
)
def test_odd_labels_are_taken_and_only_texts_are_kept(labels: Any, kept: dict[str, str]) -> None:
    assert event(data={**SCOPE, "labels": labels}).labels == kept


def test_the_distributors_temporary_data_is_taken() -> None:
    extra = {"temporaryData": {"distributor": {"subscriptionID": "s-1"}}, "get-action": None}
    assert event(data={**SCOPE, **extra}).task == "test"


def test_other_cloudevents_need_no_scope() -> None:
    for other in ("com.example.thing", "sh.keptn.event.dev.delivery.triggered"):
        assert event(type=other, data=[1, 2]).task is None


@pytest.mark.parametrize("specversion", ["1.1", "2.0", "", 1.0, None])
def test_an_unknown_spec_version_is_refused(specversion: Any) -> None:
    line = refusal(STRUCTURED, structured({**TRIGGERED, "specversion": specversion}))
    assert line.startswith("not a CloudEvent: specversion: ")


@pytest.mark.parametrize("value", ["", None, 5, ["x"], {"a": 1}, False])
@pytest.mark.parametrize("name", ["id", "source", "type"])
def test_identity_must_be_text(name: str, value: Any) -> None:
    for changed in ({**TRIGGERED, name: value}, document(**{name: None})):
        line = refusal(STRUCTURED, structured(changed))
        assert line.startswith(f"not a CloudEvent: {name}: ")


@pytest.mark.parametrize("name", ["id", "source", "type"])
def test_identity_is_never_made_up_in_binary_mode(name: str) -> None:
    for headers in (
        {key: value for key, value in BINARY.items() if key != f"ce-{name}"},
        {**BINARY, f"ce-{name}": ""},
    ):
        line = refusal(headers, structured(SCOPE))
        assert line == f"not a CloudEvent: header ce-{name} is missing or empty"


@pytest.mark.parametrize("time", ["yesterday", "2023-05-17", "2023-05-17T08:21:44", ""])
def test_an_odd_time_in_a_binary_header_is_as_good_as_none(time: str) -> None:
    assert parse.parse({**BINARY, "ce-time": time}, structured(SCOPE)).id == "short"


@pytest.mark.parametrize("name", ["ce-odd_name", "ce-keptnContext", "ce-x" * 99, "ce-"])
def test_foreign_headers_do_not_matter(name: str) -> None:
    assert parse.parse({**BINARY, name: "x"}, structured(SCOPE)).id == "short"


@pytest.mark.parametrize(
    ("body", "kind"),
    [("[]", "a list"), ("null", "null"), ('"x"', "a text"), ("true", "a boolean"), ("5", "a num")],
)
def test_a_document_that_is_no_object_is_named(body: str, kind: str) -> None:
    line = refusal(STRUCTURED, body.encode())
    assert line.startswith(f"not a CloudEvent: expected one JSON object, got {kind}")


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"{}x", b'{"id": NaN}', b"[" * 100_000])
def test_what_is_no_json_is_refused_as_such(body: bytes) -> None:
    assert refusal(STRUCTURED, body).startswith("not JSON: ")
    if body:
        assert refusal(BINARY, body).startswith("not JSON: ")


@pytest.mark.parametrize("data", [None, [], "text", 5])
def test_a_triggered_task_needs_an_object_as_data(data: Any) -> None:
    line = refusal(STRUCTURED, structured({**TRIGGERED, "data": data}))
    assert line.startswith("sh.keptn.event.test.triggered: data must be an object, got ")


@pytest.mark.parametrize("value", ["", None, 5, ["x"]])
@pytest.mark.parametrize("name", ["project", "stage", "service"])
def test_a_triggered_task_needs_its_scope(name: str, value: Any) -> None:
    line = refusal(STRUCTURED, structured(document(data={**SCOPE, name: value})))
    assert line == f"sh.keptn.event.test.triggered: data.{name} must be a non-empty text"


def test_what_is_stored_is_what_came() -> None:
    came = event(data={**SCOPE, "deep": [{"n": 1.5, "ü": None}]})
    assert parse.restore(parse.stored(came)) == came


@pytest.mark.slow
@settings(max_examples=50)
@given(st.binary() | ANY_JSON.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_raise_anything_but_a_bad_event(body: bytes) -> None:
    for headers in (STRUCTURED, BINARY):
        with contextlib.suppress(BadEvent):
            parse.parse(headers, body)


@pytest.mark.slow
@settings(max_examples=50)
@given(st.dictionaries(st.sampled_from(sorted(TRIGGERED)), ANY_JSON), ANY_JSON)
def test_no_attribute_raises_anything_but_a_bad_event(odd: dict[str, Any], data: Any) -> None:
    for one in ({**TRIGGERED, **odd}, {**TRIGGERED, "data": data}):
        try:
            found = parse.parse(STRUCTURED, structured(one))
        except BadEvent:
            continue
        assert parse.restore(parse.stored(found)).id == found.id


@pytest.mark.slow
@settings(max_examples=50)
@given(st.dictionaries(st.sampled_from(sorted(BINARY)), st.text()))
def test_no_header_raises_anything_but_a_bad_event(odd: dict[str, str]) -> None:
    with contextlib.suppress(BadEvent):
        parse.parse({**BINARY, **odd}, structured(SCOPE))
