"""Bytes in, a frozen `Event` out, or `BadEvent` with one line that says what is wrong.

Strict where identity and ownership depend on it (id, source, type, project, stage, service),
lenient in all else, because Keptn's own publishers differ: attributes may be missing, empty, or of
an odd type.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Literal

from cloudevents.core.bindings.http import HTTPMessage, from_binary_event
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from app.errors import BadEvent
from app.events import grammar

Name = Annotated[str, Field(min_length=1)]
# An optional attribute of an odd type (`"time": 5`) is as good as none: it decides nothing.
Text = Annotated[str, BeforeValidator(lambda value: value if isinstance(value, str) else "")]


class Event(BaseModel):
    """One CloudEvent as it came in, with Keptn's extensions by name; no others are kept."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    specversion: Literal["1.0", "0.3"]
    id: Name
    source: Name
    type: Name
    time: Text = ""
    shkeptncontext: Text = ""
    triggeredid: Text = ""
    gitcommitid: Text = ""
    shkeptnspecversion: Text = ""
    traceparent: Text = ""
    data: Any = Field(default=None, repr=False)

    @property
    def task(self) -> str | None:
        """The task that is asked for, when this is a task's triggered event."""
        return grammar.triggered_task(self.type)

    @property
    def tells(self) -> bool:
        """Whether it tells what others did in a service: nobody waits for an answer to it."""
        known = grammar.task_event(self.type) or grammar.sequence_event(self.type) or ("triggered",)
        told = known[-1] != "triggered" and self.type.startswith(grammar.PREFIX)
        return told and all(self.named(key) for key in ("project", "stage", "service"))

    @property
    def labels(self) -> dict[str, str]:
        """The labels that may be sent back: Keptn drops an event with anything but text there."""
        found = self.datum("labels")
        pairs = found.items() if isinstance(found, dict) else ()
        return {key: value for key, value in pairs if isinstance(value, str)}

    def datum(self, key: str) -> Any:
        """What stands in the data block below a key; None where nothing does."""
        return self.data.get(key) if isinstance(self.data, dict) else None

    def named(self, key: str) -> str:
        """A text of the data block such as `project`, or an empty text."""
        value = self.datum(key)
        return value if isinstance(value, str) else ""


_KINDS = {dict: "an object", list: "a list", str: "a text", bool: "a boolean", type(None): "null"}
# The SDK would refuse the whole event for an odd time or a foreign extension.
_WIRE = Event.model_fields.keys() - {"time", "data"}


def parse(headers: Mapping[str, str], body: bytes) -> Event:
    """The event of a request, in structured or binary mode.

    Raises:
        BadEvent: one clear line for the sender.
    """
    structured = media_type(headers.get("content-type", "")) == "application/cloudevents+json"
    binary = "ce-specversion" in headers and not structured
    return read(_binary_attributes(headers, body) if binary else _json(body))


def media_type(content_type: str) -> str:
    """The media type without its parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def restore(text: str) -> Event:
    """The event that `stored` wrote."""
    return Event.model_validate_json(text)


def stored(event: Event) -> str:
    """The event as one JSON text, for the disk."""
    return event.model_dump_json()


def read(document: Any) -> Event:
    """The event in a decoded JSON document.

    Raises:
        BadEvent: naming the attribute at fault.
    """
    if not isinstance(document, dict):
        raise BadEvent(f"not a CloudEvent: expected one JSON object, got {_kind(document)}")
    try:
        event = Event.model_validate(document)
    except ValidationError as error:
        raise BadEvent(f"not a CloudEvent: {_first(error)}") from None
    if event.task is not None:
        _require_scope(event)
    return event


def readable(documents: Iterable[Any], unfit: Callable[[str, str], object]) -> list[Event]:
    """The events among Keptn's stored documents; of what is none, `unfit` hears the id and why."""
    events = []
    for one in documents:
        try:
            events.append(read({"specversion": "1.0", **one}))
        except BadEvent as error:
            unfit(str(one.get("id")), str(error))
    return events


def _json(body: bytes) -> Any:
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise BadEvent(f"not JSON: {error}") from None


def _binary_attributes(headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """The attributes of a binary-mode request; the id comes first, for the SDK would invent one."""
    for name in ("id", "source", "type"):
        if not headers.get(f"ce-{name}"):
            raise BadEvent(f"not a CloudEvent: header ce-{name} is missing or empty")
    data = _json(body) if body else None
    wire = {f"ce-{name}": headers[f"ce-{name}"] for name in _WIRE if f"ce-{name}" in headers}
    try:
        event = from_binary_event(HTTPMessage(headers=wire, body=b""))
    except Exception as error:  # noqa: BLE001 - the SDK raises many unrelated types; each means the same here
        raise BadEvent(f"not a CloudEvent: {error}") from None
    return {**event.get_attributes(), "time": headers.get("ce-time", ""), "data": data}


def _require_scope(event: Event) -> None:
    if not isinstance(event.data, dict):
        raise BadEvent(f"{event.type}: data must be an object, got {_kind(event.data)}")
    for key in ("project", "stage", "service"):
        if not event.named(key):
            raise BadEvent(f"{event.type}: data.{key} must be a non-empty text")


def _first(error: ValidationError) -> str:
    detail = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(part) for part in detail["loc"])
    return f"{place}: {detail['msg']}"


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), f"a number ({json.dumps(value)[:20]})")
