"""Event types are split as Keptn's own Go code splits them."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.events import grammar

VECTORS = json.loads((Path(__file__).parent / "vectors" / "event_types.json").read_text())
ROWS = [
    pytest.param(row["in"]["type"], row["out"], id=row["name"])
    for row in VECTORS["rows"]
    if row["name"].startswith("parse/")
]


def parts(answer: Any) -> tuple[str, ...] | None:
    """What Go answered, or None where it answered with an error."""
    return tuple(answer) if isinstance(answer, list) else None


@pytest.mark.parametrize(("event_type", "go"), ROWS)
def test_task_and_sequence_events_are_told_apart_as_go_does(
    event_type: str, go: dict[str, Any]
) -> None:
    assert grammar.task_event(event_type) == parts(go["task"])
    assert grammar.sequence_event(event_type) == parts(go["sequence"])


@pytest.mark.parametrize(
    ("event_type", "task"),
    [
        ("sh.keptn.event.test.triggered", "test"),
        ("sh.keptn.event.get-action.triggered", "get-action"),
        ("sh.keptn.event.test.started", None),
        ("sh.keptn.event.dev.delivery.triggered", None),
        ("sh.keptn.event.test.status.changed", None),
        ("com.example.event.test.triggered", None),
        ("sh.keptn.events.test.triggered", None),
        ("sh.keptn.eventual.test.triggered", None),
        ("sh.keptn.event..triggered", None),
    ],
)
def test_only_a_triggered_event_below_keptns_prefix_asks_for_a_task(
    event_type: str, task: str | None
) -> None:
    assert grammar.triggered_task(event_type) == task


def test_types_are_put_together_as_they_are_taken_apart() -> None:
    assert grammar.task_event(grammar.of_task("test", "started")) == ("test", "started")
    made = grammar.of_sequence("dev", "delivery", "finished")
    assert grammar.sequence_event(made) == ("dev", "delivery", "finished")
