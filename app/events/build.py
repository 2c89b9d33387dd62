"""What we say to Keptn: started, finished, and how a message that is too large is made to fit.

Only our own keys go out: Keptn merges whatever it gets into every later event of the sequence.
"""

import json
import uuid
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

from cloudevents.core.bindings.http import to_structured_event
from cloudevents.core.v1.event import CloudEvent

from app.events import grammar
from app.events.parse import Event, stored

LIMIT = 48 * 1024
"""Bytes of one event with its envelope; Keptn's own proxies refuse more than 64 KiB."""

SPEC_VERSION = "0.2.4"
"""The version of Keptn's CloudEvents spec that the messages follow."""

Status = Literal["succeeded", "errored", "unknown"]
Result = Literal["pass", "warning", "fail"]
_IDS = uuid.UUID("0b8f3ac0-5d0c-4c0e-9d6b-0f5c1e9a7d42")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the user's work ended, in Keptn's words.

    `reason` is one word for metrics and people: config, policy, create, start, run, timeout,
    interrupted, cancelled, or empty.
    `data` becomes `data.<task>` of the answer.
    """

    status: Status
    result: Result
    message: str = ""
    reason: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


def errored(reason: str, message: str) -> Outcome:
    """The outcome of work that could not be done."""
    return Outcome("errored", "fail", message, reason)


@dataclass(frozen=True, slots=True)
class Message:
    """One CloudEvent ready for the wire; `body` is its structured JSON, the same for everyone."""

    id: str
    type: str
    body: str


def started(event: Event, source: str, now: float) -> Message:
    """The answer that makes Keptn wait for us."""
    return _reply(event, "started", source, now, {})


def changed(event: Event, source: str, now: float, words: str) -> Message:
    """What a task is at; Keptn shows it and does nothing else with it."""
    data = {"message": shorten(words, 1024)}
    return _reply(event, "status.changed", source, now, data, copy=int(now * 1000))


def finished(event: Event, source: str, now: float, outcome: Outcome, copy: int = 0) -> Message:
    """The answer that ends the task, never above `LIMIT`.

    `copy` numbers the further answers owed when a `started` may have arrived more than once.
    """

    def answer(outcome: Outcome) -> Message:
        return _reply(event, "finished", source, now, _data(event, outcome), copy)

    message = answer(outcome)
    if _size(message) <= LIMIT:
        return message
    room = LIMIT - _size(answer(replace(outcome, message="")))
    if room < 0 and outcome.data:
        return finished(event, source, now, _too_large(event, outcome), copy)
    return answer(replace(outcome, message=shorten(outcome.message, room)))


def answerable(event: Event, source: str) -> bool:
    """Whether the event's own identity and labels leave room for an answer."""
    if len(stored(event)) < LIMIT // 8:  # nothing takes more than six bytes a character there
        return True
    room_for_text = 1024
    return _size(finished(event, source, 0.0, errored("", ""))) + room_for_text <= LIMIT


def shorten(text: str, limit: int) -> str:
    """The text with so much cut from its middle that its JSON form takes at most `limit` bytes.

    The marker in its place names the bytes that are missing; the end stays, where errors stand.
    """

    def size(keep: int) -> int:
        return _json_size(_cut(text, keep))

    return _cut(text, bisect_right(range(1, len(text) + 1), limit, key=size))


def timestamp(now: float) -> str:
    """RFC 3339 in UTC with milliseconds, as Keptn writes its own times."""
    moment = datetime.fromtimestamp(now, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds(time: str) -> float | None:
    """The moment that an RFC 3339 text names, in seconds since the epoch; None if it names none."""
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo else None


def _data(event: Event, outcome: Outcome) -> dict[str, Any]:
    """The outcome as an answer's data."""
    task, block = event.task or "", dict(outcome.data)
    data = {"status": outcome.status, "result": outcome.result}
    if task == "action":
        # Only old consumers of action providers read this mirror; they know the word `failed`.
        block |= data | {"result": "failed" if outcome.result == "fail" else "pass"}
    return data | {"message": outcome.message} | ({task: block} if block else {})


def _reply(
    event: Event, kind: str, source: str, now: float, data: Mapping[str, Any], copy: int = 0
) -> Message:
    event_type = grammar.of_task(event.task or "", kind)
    # Made from what it answers, so that a second sending of the same answer can be recognised.
    identity = str(uuid.uuid5(_IDS, json.dumps([source, event.id, kind, copy])))
    attributes = {
        "specversion": "1.0",
        "id": identity,
        "source": source,
        "type": event_type,
        "time": datetime.fromtimestamp(now, UTC),
        "datacontenttype": "application/json",
        "shkeptncontext": event.shkeptncontext,
        "triggeredid": event.id,
        "gitcommitid": event.gitcommitid,
        "shkeptnspecversion": SPEC_VERSION,
        "traceparent": event.traceparent,
    }
    scope = {key: event.named(key) for key in ("project", "stage", "service")}
    present = {name: value for name, value in attributes.items() if value}
    answer = CloudEvent(present, {**scope, "labels": event.labels, **data})
    return Message(identity, event_type, to_structured_event(answer).body.decode())


def _too_large(event: Event, outcome: Outcome) -> Outcome:
    size, key = max((_json_size(value), key) for key, value in outcome.data.items())
    what = f"data.{event.task}.{key} takes {size} bytes"
    return errored("run", f"{what}; an event has room for {LIMIT} in all")


def _cut(text: str, keep: int) -> str:
    head, tail = text[: keep // 2], text[len(text) - (keep - keep // 2) :]
    missing = len(text.encode()) - len(head.encode()) - len(tail.encode())
    return f"{head}\n[... {missing} bytes cut ...]\n{tail}" if missing else text


def _json_size(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=True))


def _size(message: Message) -> int:
    return len(message.body.encode())
