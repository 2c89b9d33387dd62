"""OpenTelemetry's spans, written when the work has ended, under ids made of the event's own.

So a run that outlives a restart is one span, and nothing is held open; when to write one is decided
by whoever does the work.
"""

import hashlib

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app.events import parse
from app.ledger import Run
from app.tracing import Tracer

_W3C = TraceContextTextMapPropagator()
_NANO = 1_000_000_000


class SpanTracer(Tracer):
    """Writes each piece of work as a span: `run` below the event's sender, the rest below `run`."""

    def __init__(self, processor: SpanProcessor, resource: Resource) -> None:
        self._processor = processor
        self._resource = resource

    def ended(self, name: str, run: Run, began: float, now: float, **attributes: str) -> None:
        """See `Tracer.ended`."""
        above = _parent(run)
        trace = above.trace_id if above else _number(128, run.event_id)
        flags = above.trace_flags if above else TraceFlags(TraceFlags.SAMPLED)
        unique = (run.event_id, name, repr(began), *attributes.values())
        root, part = (
            SpanContext(trace, _number(64, *words), is_remote=False, trace_flags=flags)
            for words in ((run.event_id, "run"), unique)
        )
        scope = {f"keptn.{key}": getattr(run, key) for key in ("project", "stage", "service")}
        failed = attributes.get("status") == "errored"
        self._processor.on_end(
            ReadableSpan(
                name if name != "run" else run.type,
                context=root if name == "run" else part,
                parent=above if name == "run" else root,
                resource=self._resource,
                attributes={**scope, "keptn.event": run.event_id, **attributes},
                status=Status(StatusCode.ERROR if failed else StatusCode.UNSET),
                start_time=int(began * _NANO),
                end_time=int(now * _NANO),
            )
        )

    def close(self) -> None:
        """See `Tracer.close`."""
        self._processor.shutdown()


def exported(source: str) -> SpanTracer:
    """Spans in batches by OTLP over HTTP; the exporter reads OpenTelemetry's own variables."""
    return SpanTracer(
        BatchSpanProcessor(OTLPSpanExporter()), Resource.create({"service.name": source})
    )


def _parent(run: Run) -> SpanContext | None:
    """The span in which the event was sent, by its `traceparent`."""
    sent = parse.restore(run.event).traceparent if run.event else ""
    found = get_current_span(_W3C.extract({"traceparent": sent})).get_span_context()
    return found if found.is_valid else None


def _number(bits: int, *parts: str) -> int:
    """An id that is the same after a restart; never 0, which would mean none."""
    digest = hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[: bits // 8], "big") or 1
