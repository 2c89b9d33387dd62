"""What is told of a run to whoever collects traces, and what is handed on to the job."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from app.clock import Clock
from app.events import build, parse
from app.ledger.rows import Run
from app.river import tracer_for
from app.settings import load
from app.spans import SpanTracer
from app.tracing import Tracer
from app.worker import CLOCKS_APART
from tests.captain import Captain, config
from tests.conftest import connection, event
from tests.ship import Ship, eventually

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


class Collector:
    """Somebody who is told of spans."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        processor = SimpleSpanProcessor(self._exporter)
        self.tracer = SpanTracer(processor, Resource({"service.name": "here"}))

    def spans(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())


def run_of(**attributes: str) -> Run:
    asked = event(**attributes)
    head = (1, asked.id, "running", "", asked.type, asked.shkeptncontext)
    times = (1.0, 1.0, 1.0)
    return Run(*head, "p", "s", "svc", parse.stored(asked), *times, None, None, 1)


def test_a_run_stands_below_the_span_in_which_the_event_was_sent() -> None:
    collector = Collector()
    collector.tracer.ended("task", run_of(traceparent=PARENT), 2, 3, task="Do")
    collector.tracer.ended("run", run_of(traceparent=PARENT), 1, 4, status="errored")
    task, run = collector.spans()

    assert run.parent
    assert run.context
    assert task.parent
    assert (f"{run.context.trace_id:032x}", f"{run.parent.span_id:016x}") == (TRACE, SPAN)
    assert task.parent.span_id == run.context.span_id
    assert (run.name, run.start_time, run.end_time) == (event().type, 10**9, 4 * 10**9)
    assert (run.status.status_code, task.status.status_code) == (StatusCode.ERROR, StatusCode.UNSET)


def test_ids_are_the_same_after_a_restart_and_differ_between_attempts() -> None:
    before, after = Collector(), Collector()
    for begun, collector in ((2, before), (2, after), (3, after)):
        collector.tracer.ended("task", run_of(), begun, 9, task="Do")
    ids = [span.context.span_id for span in before.spans() + after.spans() if span.context]

    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize(
    "sent", ["", "nonsense", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"], ids=["none", "odd", "zero"]
)
def test_a_run_without_a_usable_parent_begins_a_trace_of_its_own(sent: str) -> None:
    collector = Collector()
    collector.tracer.ended("run", run_of(traceparent=sent), 1, 2)
    (run,) = collector.spans()

    assert (run.parent, run.context and run.context.is_valid) == (None, True)


def test_what_the_sender_does_not_sample_is_not_exported() -> None:
    collector = Collector()
    collector.tracer.ended("run", run_of(traceparent=PARENT[:-1] + "0"), 1, 2)

    assert collector.spans() == []


def test_without_an_endpoint_nobody_is_told() -> None:
    assert type(tracer_for(load())) is Tracer


def test_with_an_endpoint_spans_are_exported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    tracer = tracer_for(load())
    tracer.close()

    assert isinstance(tracer, SpanTracer)


def test_the_answers_carry_the_events_traceparent() -> None:
    asked = event(traceparent=PARENT)
    outcome = build.Outcome("succeeded", "pass")
    answers = [build.started(asked, "us", 0), build.finished(asked, "us", 0, outcome)]

    assert {json.loads(one.body)["traceparent"] for one in answers} == {PARENT}


@pytest.mark.slow
async def test_a_service_tells_of_plan_task_run_and_sends_in_one_trace(
    start: Callable[..., Ship], captain: Captain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector = Collector()
    monkeypatch.setattr("app.river.tracer_for", lambda _: collector.tracer)
    out = tmp_path / "parent.txt"
    captain.put(config("sh", "-c", f"echo $TRACEPARENT > {out}"))
    ship = start(**connection(captain.keptn, "api"))
    data = {"project": captain.project, "stage": "s", "service": "svc"}
    # Keptn does not know this event, and is not asked for one that is newer than the service.
    later = Clock().now() + 2 * CLOCKS_APART
    asked = event(traceparent=PARENT, data=data, time=build.timestamp(later))
    await ship.post(asked.model_dump())
    await eventually(lambda: len(collector.spans()) >= 5)

    spans = {span.name: span for span in collector.spans()}
    assert spans.keys() == {"plan", "task", "send", asked.type}
    assert {f"{one.context.trace_id:032x}" for one in spans.values() if one.context} == {TRACE}
    assert out.read_text() == f"{PARENT}\n"
