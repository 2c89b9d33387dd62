"""What we say to Keptn: our own keys only, the same id for the same answer, and never too large."""

import json
import re
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.events import build
from app.events.build import LIMIT, Message, Outcome, errored
from app.events.parse import Event
from tests.conftest import TRIGGERED, event

NOW = 1_684_311_704.305
SCOPE = {"project": "p", "stage": "s", "service": "svc"}
PASS = Outcome("succeeded", "pass", "well done")


def body(message: Message) -> dict[str, Any]:
    return dict(json.loads(message.body))


def finished(outcome: Outcome, copy: int = 0, **overrides: Any) -> Message:
    return build.finished(event(**overrides), "firstmate", NOW, outcome, copy)


def size(message: Message) -> int:
    return len(message.body.encode())


def action() -> Event:
    return event(type="sh.keptn.event.action.triggered")


def test_started_names_what_it_answers() -> None:
    asked = event(gitcommitid="c0ffee", data={**SCOPE, "secret": "input", "labels": {"a": "b"}})
    message = build.started(asked, "firstmate", NOW)
    assert body(message) == {
        "specversion": "1.0",
        "id": message.id,
        "source": "firstmate",
        "type": "sh.keptn.event.test.started",
        "time": "2023-05-17T08:21:44.305000Z",
        "datacontenttype": "application/json",
        "shkeptncontext": TRIGGERED["shkeptncontext"],
        "triggeredid": TRIGGERED["id"],
        "gitcommitid": "c0ffee",
        "shkeptnspecversion": "0.2.4",
        "data": {**SCOPE, "labels": {"a": "b"}},
    }


def test_finished_carries_the_outcome_and_none_of_the_input() -> None:
    outcome = Outcome("succeeded", "warning", "so so", data={"score": 7})
    given_data = {**SCOPE, "test": {"input": 1}, "message": "theirs", "temporaryData": {"x": 1}}
    assert body(finished(outcome, data=given_data))["data"] == {
        **SCOPE,
        "labels": {},
        "status": "succeeded",
        "result": "warning",
        "message": "so so",
        "test": {"score": 7},
    }


def test_without_data_of_its_own_a_task_has_no_block() -> None:
    assert "test" not in body(finished(PASS))["data"]


def test_only_labels_that_are_texts_are_sent_back() -> None:
    asked = event(data={**SCOPE, "labels": {"n": 5, "none": None, "t": "x"}})
    for message in (build.started(asked, "me", NOW), build.finished(asked, "me", NOW, PASS)):
        assert body(message)["data"]["labels"] == {"t": "x"}


@pytest.mark.parametrize(
    ("outcome", "mirror"),
    [
        (PASS, {"status": "succeeded", "result": "pass"}),
        (Outcome("succeeded", "warning"), {"status": "succeeded", "result": "pass"}),
        (errored("run", "broken"), {"status": "errored", "result": "failed"}),
    ],
)
def test_an_action_is_told_a_second_time_in_the_words_of_its_old_consumers(
    outcome: Outcome, mirror: dict[str, str]
) -> None:
    data = body(build.finished(action(), "me", NOW, outcome))["data"]
    assert data["action"] == mirror
    assert (data["status"], data["result"]) == (outcome.status, outcome.result)


def test_an_id_is_the_same_for_the_same_answer_only() -> None:
    first = finished(PASS).id
    assert uuid.UUID(first)
    assert finished(errored("run", "other text")).id == first
    others = [finished(PASS, copy=1).id, finished(PASS, id="x").id]
    others += [build.started(event(), "firstmate", NOW).id]
    others += [build.finished(event(), "second mate", NOW, PASS).id]
    assert len({first, *others}) == 5


def test_a_long_message_is_cut_in_its_middle_and_says_by_how_much() -> None:
    text = "begin" + "ü\n" * LIMIT + "the cause at the end"
    message = finished(Outcome("errored", "fail", text))
    kept = body(message)["data"]["message"]
    head, missing, tail = re.split(r"\n\[\.\.\. (\d+) bytes cut \.\.\.\]\n", kept)
    assert (head[:5], tail[-20:]) == ("begin", "the cause at the end")
    assert len(head.encode()) + len(tail.encode()) + int(missing) == len(text.encode())
    assert LIMIT - 64 <= size(message) <= LIMIT


def test_data_that_is_too_large_alone_is_an_error_that_names_the_key_and_its_size() -> None:
    large = Outcome("succeeded", "pass", "fine", data={"small": 1, "large": "x" * LIMIT})
    data = body(finished(large))["data"]
    assert (data["status"], data["result"]) == ("errored", "fail")
    assert data["message"] == (
        f"data.test.large takes {LIMIT + 2} bytes; an event has room for {LIMIT} in all"
    )
    assert "test" not in data


def test_an_event_whose_own_identity_fills_the_answer_is_not_answerable() -> None:
    assert build.answerable(event(), "firstmate")
    assert not build.answerable(event(id="x" * LIMIT), "firstmate")
    labels = {str(number): "x" * 100 for number in range(500)}
    assert not build.answerable(event(data={**SCOPE, "labels": labels}), "firstmate")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2023-05-17T08:21:44.305Z", NOW),
        ("2023-05-17T10:21:44.305+02:00", NOW),
        ("2023-05-17T08:21:44.305000000Z", NOW),
        ("2023-05-17T08:21:44", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_a_time_without_a_zone_names_no_moment(text: str, moment: float | None) -> None:
    assert build.seconds(text) == moment


def test_a_moment_is_written_as_keptn_writes_it() -> None:
    assert build.timestamp(NOW) == "2023-05-17T08:21:44.305Z"


@pytest.mark.slow
@given(st.text(min_size=200, max_size=2000), st.integers(100, 12_000))
def test_what_is_shortened_fits_and_keeps_both_ends(text: str, limit: int) -> None:
    short = build.shorten(text, limit)
    assert len(json.dumps(short)) <= limit
    if short != text:
        head, marker, tail = short.rpartition("\n[... ")[0], "bytes cut ...]\n", ""
        tail = short.rpartition(marker)[2]
        assert text.startswith(head)
        assert text.endswith(tail)
        assert abs(len(head) - len(tail)) <= 1


TEXT = st.text(max_size=300) | st.text(min_size=1, max_size=3).map(lambda text: text * 20_000)


@pytest.mark.slow
@given(TEXT, st.dictionaries(st.text(max_size=20), TEXT, max_size=3), TEXT)
def test_finished_fits_whatever_is_to_be_said(
    message: str, data: dict[str, str], label: str
) -> None:
    asked = event(data={**SCOPE, "labels": {"label": label}})
    if build.answerable(asked, "firstmate"):
        outcome = Outcome("succeeded", "pass", message, data=data)
        assert size(build.finished(asked, "firstmate", NOW, outcome)) <= LIMIT
