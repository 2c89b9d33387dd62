"""What the Keptn API takes as an event, its context, and how Keptn says no. Stores nothing."""

import json
import re
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import from_json

from app.errors import Permanent
from app.events import grammar
from app.plane.store import Document

LIMIT = 64 * 1024
"""Bytes of a posted event with its envelope."""

_CLOCK = r"\d\d:\d\d:\d\d"
_TIME = re.compile(
    rf"\d{{4}}(-\d\d){{2}}(T({_CLOCK}(\.\d+)?|\d\d:\d\d)(Z|[+-]\d\d:\d\d)?| {_CLOCK})"
)
_DASHED = r"[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}"
_UUID = re.compile(
    rf"[\da-f]{{32}}|(urn:uuid:)?{_DASHED}|\{{{_DASHED}\}}", re.IGNORECASE | re.ASCII
)
_UNCHECKED = ("sh.keptn.log.error", "sh.keptn.events.problem")
_OF_SEQUENCES, _OF_TASKS = ("triggered",), ("started", "finished", "invalidated")
_MONITORING = "sh.keptn.event.monitoring.configure"


def _known_time(text: str) -> str:
    if text and not (_TIME.fullmatch(text) and datetime.fromisoformat(text)):
        raise ValueError(f"{text[:40]!r} is no RFC 3339 time")
    return text


class Refused(Permanent):
    """How every Keptn API says no: a request is answered with `{"code": ..., "message": ...}`."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class EventData(BaseModel):
    """The part of an event's data that Keptn itself reads."""

    model_config = ConfigDict(frozen=True, strict=True)

    project: str = ""
    stage: str = ""
    service: str = ""
    labels: dict[str, Annotated[str, BeforeValidator(lambda text: text or "")]] | None = None
    status: str = ""
    result: str = ""
    message: str = ""


class PostedEvent(BaseModel):
    """The attributes that the API reads; it replaces id and time, and drops specversion."""

    model_config = ConfigDict(frozen=True, strict=True)

    data: Any
    source: str
    type: str
    id: str = ""
    specversion: str = ""
    contenttype: str = ""
    time: Annotated[str, AfterValidator(_known_time)] = ""
    shkeptncontext: str = ""
    triggeredid: str = ""
    gitcommitid: str = ""


def read(body: bytes) -> PostedEvent:
    """The event in a request's body.

    Raises:
        Refused: 400 when it cannot be decoded, 422 when data, source or type is missing.
    """
    if len(body) > LIMIT:
        raise Refused(400, f"the event takes more than {LIMIT} bytes")
    document = decoded(body)
    if not isinstance(document, dict | None):
        raise Refused(400, "the body must be one JSON object")
    try:
        return PostedEvent.model_validate(_folded(PostedEvent, document or {}))
    except ValidationError as error:
        missing = error.errors()[0]["type"] == "missing"
        raise Refused(422 if missing else 400, first(error.errors())) from None


def decoded(body: bytes) -> Any:
    """The JSON value in a request's body.

    Raises:
        Refused: 400 when there is none, or one that cannot be stored.
    """
    try:
        document = from_json(body)
        json.dumps(document, allow_nan=False)  # 1e999 is read as infinity, which is no JSON
    except ValueError as error:
        raise Refused(400, f"the body is not JSON: {error}") from None
    return document


def event_data(data: Any) -> EventData:
    """The common part of `data`, whatever the case of its keys, as Go decodes it."""
    try:
        # Go has sorted the keys by then, so of two spellings the later in that order counts.
        return EventData.model_validate(_folded(EventData, dict(sorted(data.items()))))
    except (ValidationError, AttributeError):
        raise Refused(400, "could not parse common event data") from None


def scope(data: Any) -> EventData:
    """The common part of `data`, with project, stage and service present."""
    common = event_data({} if data is None else data)
    if not (common.project and common.stage and common.service):
        raise Refused(400, "mandatory field(s) 'project', 'stage' or 'service' missing")
    return common


def check(event: PostedEvent) -> None:
    """Apply the API's rules for the event's type.

    Raises:
        Refused: 400 with Keptn's own words.
    """
    if event.type in _UNCHECKED:
        return
    if event.type == _MONITORING:
        if not (event_data(event.data).project and event.data.get("type")):
            raise Refused(400, "mandatory fields(s) 'project', 'service' or 'type' missing")
        return
    sequence, task = grammar.sequence_event(event.type), grammar.task_event(event.type)
    if not (parts := sequence or task):
        raise Refused(400, "unknown event type")
    if (kind := parts[-1]) not in (_OF_SEQUENCES if sequence else _OF_TASKS):
        raise Refused(400, f"unknown event type action: {kind}")
    if sequence and scope(event.data).stage != sequence[0]:
        raise Refused(400, "stage name in event data and in event type does not match")
    if task and kind != "invalidated":
        _check_answer(event, kind)


def first(errors: Sequence[Any]) -> str:
    """The first of pydantic's errors as one line: the place, and what is wrong there."""
    return ": ".join(filter(None, (".".join(map(str, errors[0]["loc"])), errors[0]["msg"])))


def keptn_context(given: str) -> str:
    """The context of an event: its own uuid, one made from its text, or a fresh one."""
    if _UUID.fullmatch(given):
        return given
    made = uuid.UUID(bytes=given.encode().ljust(16)[:16], version=4) if given else uuid.uuid4()
    return str(made)


def _folded(model: type[BaseModel], document: Document) -> Document:
    """The model's fields; Go compares keys without case, to it a long s is an s and null absent."""
    named = ((key.replace("\u017f", "s").lower(), value) for key, value in document.items())
    return {key: value for key, value in named if key in model.model_fields and value is not None}


def _check_answer(event: PostedEvent, kind: str) -> None:
    common = scope(event.data)
    if not event.triggeredid:
        raise Refused(400, "mandatory field 'triggeredid' missing")
    if kind == "finished" and not (common.result and common.status):
        missing = "status" if common.result else "result"
        raise Refused(400, f"{missing} field is not set")
