"""The double's rules against what the real Go code answered, and the counting table of §2.3.

No process and no port: these are the functions that the program is made of.
"""

import json
from functools import reduce
from pathlib import Path
from typing import Any

import pytest

from tests.strict import counting, validation
from tests.strict.counting import Controller, Sequence, Task
from tests.strict.validation import Event, Refused

VECTORS = Path(__file__).parent / "vectors"
SCOPE = {"project": "p", "stage": "s", "service": "svc"}
PASS = {"status": "succeeded", "result": "pass"}
# Python's whole numbers have no limit where Go reads floats; no test of ours is about that.
WHOLE_NUMBERS = {"numbers/large integers", "numbers/large integer taken"}


def rows(name: str, *kinds: str) -> list[Any]:
    found = json.loads((VECTORS / f"{name}.json").read_text())["rows"]
    chosen = [row for row in found if not kinds or row["name"].partition("/")[0] in kinds]
    return [pytest.param(row, id=row["name"]) for row in chosen]


@pytest.mark.parametrize("row", rows("api_validation", "event"))
def test_the_gateway_accepts_what_the_real_api_accepts(row: dict[str, Any]) -> None:
    body, expected = row["in"]["body"].encode(), row["out"]
    if expected["accepted"]:
        assert validation.gateway_event(body)
        return
    with pytest.raises(Refused) as refused:
        validation.gateway_event(body)
    assert refused.value.status == (422 if expected["phase"] == "model" else 400)
    if expected["phase"] != "decode":
        assert refused.value.message == expected["message"]


@pytest.mark.parametrize("row", rows("api_validation", "context"))
def test_a_context_that_is_no_uuid_is_replaced_as_by_the_real_api(row: dict[str, Any]) -> None:
    assert validation.context_of(row["in"]["context"]) == row["out"]


@pytest.mark.parametrize("row", rows("aggregate", "event_scope"))
def test_the_controller_drops_what_the_real_one_drops(row: dict[str, Any]) -> None:
    event = row["in"]["event"]
    assert bool(validation.dropped(event)) == ("error" in row)


@pytest.mark.parametrize("row", rows("aggregate", "complete"))
def test_answers_are_aggregated_as_by_the_real_controller(row: dict[str, Any]) -> None:
    taken = [event for event in row["in"]["events"] if not validation.dropped(event)]
    data = [event["data"] for event in taken if event["type"].endswith(".finished")]
    if not data:
        assert row["out"]["finished"] is False
        return
    found = counting.aggregate([validation.common(one) for one in data])
    assert found == (row["out"]["status"], row["out"]["result"])
    assert reduce(counting.merge, data) == row["out"]["properties"]


@pytest.mark.parametrize("row", rows("merge"))
def test_data_is_merged_as_by_the_real_controller(row: dict[str, Any]) -> None:
    if row["name"] not in WHOLE_NUMBERS:
        assert counting.merge(row["in"]["a"], row["in"]["b"]) == row["out"]


class Sent:
    """A controller whose first task is open, and what it stored and delivered."""

    def __init__(self, *tasks: str) -> None:
        self.stored: list[Event] = []
        self.delivered: list[Task] = []
        self.controller = Controller(self.stored.append, self.delivered.append)
        trigger = {"id": "t", "time": "", "shkeptncontext": "c", "gitcommitid": "", "data": SCOPE}
        self.sequence = Sequence("delivery", list(tasks), trigger, {"event_id": "x"})
        self.controller.start(self.sequence)

    def send(self, kind: str, triggeredid: str = "x", task: str = "test", **data: Any) -> str:
        return self.controller.receive(
            {
                "type": f"sh.keptn.event.{task}.{kind}",
                "source": "me",
                "shkeptncontext": "c",
                "triggeredid": triggeredid,
                "data": SCOPE | data,
            }
        )


# s: started, f: finished, o: started of another type, g: finished of another type (§2.3)
@pytest.mark.parametrize(
    ("moves", "is_open", "started", "finished", "ignored"),
    [
        ("", True, 0, 0, 0),
        ("s", True, 1, 0, 0),
        ("f", True, 0, 1, 0),
        ("sf", False, 1, 1, 0),
        ("fs", False, 1, 1, 0),
        ("ssf", True, 2, 1, 0),
        ("ssff", False, 2, 2, 0),
        ("sff", False, 1, 1, 1),
        ("sfs", False, 1, 1, 0),
        ("of", False, 1, 1, 0),
        ("sg", True, 1, 0, 0),
    ],
)
def test_a_task_completes_when_the_counts_meet_above_zero(
    moves: str, is_open: bool, started: int, finished: int, ignored: int
) -> None:
    sent = Sent("test")
    for move in moves:
        kind = "started" if move in "so" else "finished"
        sent.send(kind, task="other" if move in "og" else "test", **PASS)
    view = sent.controller.tasks["x"].view()
    assert (view["open"], view["started"], view["finished"]) == (is_open, started, finished)
    assert view["ignored_finished"] == ignored


def test_what_names_no_task_of_ours_is_not_counted() -> None:
    sent = Sent("test")
    assert sent.send("started", triggeredid="y") == "unknown_triggeredid"
    sent.send("started", project="another")
    assert sent.send("started", labels={"n": 1}).startswith("dropped")
    assert sent.controller.tasks["x"].view()["started"] == 0


@pytest.mark.parametrize(
    ("result", "status", "next_task"),
    [
        ("pass", "succeeded", True),
        ("warning", "succeeded", True),
        ("fail", "succeeded", False),
        ("pass", "errored", False),
        ("pass", "aborted", True),
    ],
)
def test_the_next_task_follows_unless_the_last_one_failed(
    result: str, status: str, next_task: bool
) -> None:
    sent = Sent("test", "release")
    sent.send("started")
    sent.send("finished", result=result, status=status, test={"list": [1]})
    assert [task.name for task in sent.delivered] == ["test", "release"][: 1 + next_task]
    assert sent.sequence.state == ("started" if next_task else "finished")
    if next_task:
        data = sent.delivered[1].trigger["data"]
        assert data["test"] == {"list": [1]}
        assert (data["result"], data["status"]) == (result, status)
    else:
        ended = sent.stored[-1]
        assert ended["type"] == "sh.keptn.event.s.delivery.finished"
        assert ended["triggeredid"] == "t"
        assert ended["data"] == SCOPE | {"status": status, "result": result}


@pytest.mark.parametrize(
    ("change", "accepted"),
    [
        ({}, True),
        ({"time": None}, True),
        ({"triggeredid": ""}, True),
        ({"specversion": "2.0"}, False),
        ({"id": ""}, False),
        ({"source": 5}, False),
        ({"type": None}, False),
        ({"time": "yesterday"}, False),
        ({"has-dash": "x"}, False),
        ({"nested": {"a": 1}}, False),
        ({"data": "x" * validation.LIMIT}, False),
    ],
)
def test_the_sidecar_decodes_as_the_sdk_does(change: dict[str, Any], accepted: bool) -> None:
    event = {"specversion": "1.0", "id": "1", "source": "me", "type": "t", "time": None} | change
    body = json.dumps({key: value for key, value in event.items() if value is not None}).encode()
    if accepted:
        assert validation.sidecar_event(body)["id"] == "1"
        return
    with pytest.raises(Refused) as refused:
        validation.sidecar_event(body)
    assert refused.value.status == 500


TRIGGER = {
    "type": "sh.keptn.event.test.triggered",
    "shkeptncontext": "c",
    "data": SCOPE | {"test": {"strategy": "real"}, "problem": {}, "labels": {}},
}


@pytest.mark.parametrize(
    ("change", "data", "rules"),
    [
        ({}, {}, set()),
        ({}, {"test": {"mine": 1}, "message": "m", "labels": {"a": "b"}}, set()),
        ({}, {"labels": {"a": 1}}, {"labels"}),
        ({}, {"stage": "other"}, {"wrong_stage"}),
        ({}, {"status": ""}, {"missing_status"}),
        ({}, {"result": None}, {"missing_result"}),
        ({}, {"problem": {}}, {"echo"}),
        ({}, {"test": {"strategy": "real"}}, {"echo"}),
        ({"shkeptncontext": "d"}, {}, {"wrong_context"}),
        ({"type": "sh.keptn.event.tests.finished"}, {}, {"wrong_type"}),
        ({"time": "yesterday"}, {}, {"time"}),
        ({"Traceparent": "x"}, {}, {"extension_name"}),
        ({"triggeredid": ""}, {}, {"missing_triggeredid"}),
    ],
)
def test_a_strict_reader_objects(
    change: dict[str, Any], data: dict[str, Any], rules: set[str]
) -> None:
    event: Event = {"type": "sh.keptn.event.test.finished", "shkeptncontext": "c"}
    event |= {"triggeredid": "x", "data": SCOPE | PASS | data} | change
    assert {rule for rule, _ in validation.faults_of(event, 100, TRIGGER)} == rules


def test_more_than_48_kib_is_objected_to_although_64_are_taken() -> None:
    event: Event = {"type": "sh.keptn.event.test.started", "triggeredid": "x"}
    assert not list(validation.faults_of(event, 48 * 1024, None))
    assert [rule for rule, _ in validation.faults_of(event, 48 * 1024 + 1, None)] == ["oversize"]
