"""The rows that Keptn's own Go code answered: merge, aggregation, follow-ups, API validation."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.events import durations
from app.plane import sequence, shipyard, validation
from app.plane.sequence import merge
from app.plane.validation import Refused

Row = dict[str, Any]
SCOPE = {"project": "bookshop", "stage": "dev", "service": "basket"}

DIFFERENT_ON_PURPOSE = {
    "event/trailing text after the object": "Go reads one value and leaves the rest; we refuse it",
    "parse_duration/'2562047h47m16.854775808s'": "Go overflows after 292 years; we do not",
    "event_scope/time empty string": "only the controller refuses it; the API replaced it before",
}


def rows(file: str, *kinds: str) -> list[Any]:
    document = json.loads((Path(__file__).parent / "vectors" / f"{file}.json").read_text())
    return [
        pytest.param(row, id=row["name"])
        for row in document["rows"]
        if row["name"].startswith(kinds or "") and row["name"] not in DIFFERENT_ON_PURPOSE
    ]


def as_go(value: Any) -> Any:
    """Go reads every number as a float64."""
    match value:
        case bool():
            return value
        case int():
            return float(value)
        case list():
            return [as_go(each) for each in value]
        case dict():
            return {key: as_go(each) for key, each in value.items()}
        case _:
            return value


def expect(row: Row, answer: Callable[[], Any]) -> None:
    if "error" in row:
        with pytest.raises(Refused):
            answer()
    else:
        assert as_go(answer()) == as_go(row["out"])


@pytest.mark.parametrize("row", rows("merge"))
def test_values_merge_as_in_keptn(row: Row) -> None:
    expect(row, lambda: merge(row["in"]["a"], row["in"]["b"]))


def execution_of(given: Row) -> Row:
    tasks = [shipyard.Task.model_validate(task) for task in given.get("tasks", [])]
    event = {"shkeptncontext": "c", "id": "t", "type": "x", "time": "", "data": {}}
    event["data"] = given.get("input", {})
    scope = validation.scope(given.get("scope", SCOPE))
    execution = sequence.new("e", shipyard.Sequence(name="s", tasks=tasks), event, scope)
    execution["status"]["previousTasks"] = [
        {"triggeredID": "", **task} for task in given.get("previous", [])
    ]
    return execution


def count(execution: Row, events: list[Row]) -> list[int]:
    """Count the events for the current task; returns the indexes of those that were rejected."""
    rejected = []
    for index, event in enumerate(events):
        try:
            common = validation.scope(event["data"])
        except Refused:
            rejected.append(index)
            continue
        complete = {"source": "s", "time": "", **event}
        execution["status"]["currentTask"]["events"].append(sequence.task_event(complete, common))
    return rejected


@pytest.mark.parametrize("row", rows("aggregate", "complete/"))
def test_a_task_completes_as_in_keptn(row: Row) -> None:
    execution = execution_of({})
    rejected = count(execution, row["in"]["events"])
    finished = sequence.is_complete(execution["status"]["currentTask"]["events"])
    result, status = sequence.complete_task(execution)
    expected = row["out"]
    assert rejected == [each["index"] for each in expected["rejected"]]
    assert (finished, result, status) == tuple(
        expected[key] for key in ("finished", "result", "status")
    )
    properties = execution["status"]["previousTasks"][0]["properties"]
    assert as_go(properties) == as_go(expected["properties"])


@pytest.mark.parametrize("row", rows("aggregate", "next_task/"))
def test_the_next_task_is_keptns(row: Row) -> None:
    expect(row, lambda: (sequence.next_task(execution_of(row["in"])) or {"name": None})["name"])


@pytest.mark.parametrize("row", rows("aggregate", "triggered_data/"))
def test_triggered_data_are_keptns(row: Row) -> None:
    execution = execution_of(row["in"])
    times = [
        json.loads(json.dumps(sequence.triggered_data(execution)))
        for _ in range(row["in"]["times"])
    ]
    expect(row, lambda: times if len(times) > 1 else times[0])


@pytest.mark.parametrize("row", rows("aggregate", "follow_ups/"))
def test_the_same_sequences_follow(row: Row) -> None:
    given = row["in"]
    finished = f"{given['stage']}.{given['sequence']}.finished"
    found = shipyard.parse(given["shipyard"]).follow_ups(
        finished, given["result"], given["previous_task"]
    )
    assert [f"{stage}.{name}" for stage, name in found] == row["out"]


@pytest.mark.parametrize("row", rows("aggregate", "sequence_in_stage/"))
def test_the_same_sequence_is_found(row: Row) -> None:
    def tasks() -> list[Row]:
        found = shipyard.parse(row["in"]["shipyard"]).sequence(
            row["in"]["stage"], row["in"]["sequence"]
        )
        return [task.model_dump(by_alias=True) for task in found.tasks]

    expect(row, tasks)


@pytest.mark.parametrize("row", rows("go_time", "parse_duration/"))
def test_a_delay_is_read_as_go_does(row: Row) -> None:
    found = durations.seconds(row["in"]["s"])
    expected = float(row["out"]["nanoseconds"]) / 1e9 if "out" in row else None
    assert found == (expected if expected is None else pytest.approx(expected, abs=1e-9))


@pytest.mark.parametrize("row", rows("aggregate", "event_scope/"))
def test_the_scope_of_an_event_is_read_as_in_keptn(row: Row) -> None:
    def scope() -> Row:
        event = validation.read(json.dumps(row["in"]["event"]).encode())
        ids = {"keptnContext": event.shkeptncontext, "triggeredid": event.triggeredid}
        return validation.scope(event.data).model_dump() | ids

    expect(row, scope)


@pytest.mark.parametrize("row", rows("aggregate", "replay/"))
def test_a_whole_sequence_goes_as_in_keptn(row: Row) -> None:
    execution = execution_of(row["in"])
    assert as_go(list(replay(execution, row["in"]["steps"]))) == as_go(row["out"])


def replay(execution: Row, steps: list[list[Row]]) -> Any:
    status = execution["status"]
    last: Row = {"result": "", "status": ""}
    while task := sequence.next_task(execution):
        yield {
            "triggered": task["name"],
            "data": json.loads(json.dumps(sequence.triggered_data(execution))),
        }
        status["currentTask"] = sequence.current_task(task["name"], "t")
        count(execution, steps[len(status["previousTasks"])])
        if not sequence.is_complete(status["currentTask"]["events"]):
            yield "waiting"
            return
        result, of_task = sequence.complete_task(execution)
        last = {"result": result, "status": of_task}
        yield {"completed": task["name"], **last}
    yield {"sequence_finished": last}
    yield {"follow_up_input": sequence.triggered_data(execution)}


@pytest.mark.parametrize("row", rows("api_validation", "event/"))
def test_the_api_takes_the_same_events(row: Row) -> None:
    def take() -> None:
        validation.check(validation.read(row["in"]["body"].encode()))

    if row["out"]["accepted"]:
        take()
        return
    with pytest.raises(Refused) as refused:
        take()
    phase = row["out"]["phase"]
    assert refused.value.code == (422 if phase == "model" else 400)
    if phase == "keptn":
        assert str(refused.value) == row["out"]["message"]


@pytest.mark.parametrize("row", rows("api_validation", "context/"))
def test_a_context_is_derived_as_in_keptn(row: Row) -> None:
    assert validation.keptn_context(row["in"]["context"]) == row["out"]
