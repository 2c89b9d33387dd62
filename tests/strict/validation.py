"""What the real Keptn refuses, drops or would choke on, decided on bytes and decoded events.

Nothing here counts, stores or answers; each rule names its section of the protocol notes.
"""

import json
import re
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

Event = dict[str, Any]

LIMIT = 64 * 1024  # §0.10: the API and the distributor's proxy alike
COMFORT = 48 * 1024  # what the service promises to stay below
SCOPE = ("project", "stage", "service")
_TEXTS = ["id", "type", "source", "specversion", "contenttype", "triggeredid", "shkeptncontext"]
_TEXTS += ["gitcommitid", "shkeptnversion"]
_AS_IS = ("sh.keptn.log.error", "sh.keptn.events.problem")
_KINDS = {5: ("started", "finished", "invalidated"), 6: ("triggered",)}
_ENVELOPE = {"id", "source", "specversion", "type", "time", "datacontenttype", "dataschema"}
_ENVELOPE |= {"subject", "data", "data_base64"}
_DAY, _CLOCK = r"\d{4}-\d\d-\d\d", r"\d\d:\d\d:\d\d(\.\d+)?"
_RFC3339 = re.compile(rf"{_DAY}T{_CLOCK}(Z|[+-]\d\d:\d\d)")
_STRFMT = re.compile(rf"({_DAY}([Tt ]{_CLOCK}(Z|[+-]\d\d:\d\d)?)?)?")


class Refused(Exception):
    """What the sender is told: an HTTP status and one line."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class Time:
    """Keptn's clock; from `origin` on its seconds may pass `speed` times as fast as real ones."""

    origin, speed = 0.0, 1.0


def now() -> str:
    """The time as Keptn writes it."""
    moment = Time.origin + (time.time() - Time.origin) * Time.speed
    written = datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
    return written.replace("+00:00", "Z")


def tokens(event_type: Any) -> list[str]:
    """§1.2: five non-empty parts make a task event, six a sequence event."""
    parts = event_type.split(".") if isinstance(event_type, str) else []
    return parts if len(parts) in _KINDS and all(parts) else []


def gateway_event(body: bytes) -> Event:
    """§3.1: the event that the API passes on, with an id and a time of its own (§1.1)."""
    event = _model(body)
    missing = [name for name in ("data", "source", "type") if name not in event]
    if missing:
        lines = [f"{name} in body is required" for name in missing]
        raise Refused(422, "\n".join(["validation failure list:", *lines]))
    _check(event)
    return event | {
        "id": str(uuid.uuid4()),
        "time": now(),
        "source": event["source"] or "https://github.com/keptn/keptn/api",
        "shkeptncontext": context_of(event.get("shkeptncontext", "")),
    }


def sidecar_event(body: bytes) -> Event:
    """§1.4: the distributor decodes the body alone, by the SDK's rules, and keeps id and time."""
    try:
        event = json.loads(body) if len(body) <= LIMIT else None
    except ValueError:
        event = None
    if not isinstance(event, dict):
        raise Refused(500, f"no structured CloudEvent of at most {LIMIT} bytes")
    if event.get("specversion") not in ("1.0", "0.3"):
        raise Refused(500, "specversion: no or unknown CloudEvents version")
    for name in ("id", "source", "type"):
        if not (isinstance(event.get(name), str) and event[name]):
            raise Refused(500, f"{name}: MUST be a non-empty string")
    if not (is_rfc3339(event.get("time")) or event["time"] == ""):
        raise Refused(500, "time: not RFC 3339")
    for name in event.keys() - _ENVELOPE:
        if not re.fullmatch("[a-zA-Z0-9]+", name) or isinstance(event[name], dict | list):
            raise Refused(500, f"{name}: bad CloudEvents extension")
    return event


def dropped(event: Event) -> str:
    """§2.1, §2.3: why the controller throws the event away without a word, or an empty text."""
    try:
        found = common(event.get("data"))
    except ValueError as error:
        return str(error)
    missing = [name for name in SCOPE if not found[name]]
    if not event.get("type"):
        return "event does not contain a type"
    if not is_rfc3339(event.get("time")):
        return "time is not RFC 3339"
    return f"event does not contain a {missing[0]}" if missing else ""


def is_rfc3339(value: Any) -> bool:
    """Whether Go reads it as a time; an absent one is fine."""
    return value is None or _is_time(_RFC3339, value)


def common(data: Any) -> Event:
    """go-utils' EventData: keys match without case, null is empty, all else must be text."""
    # Go sorts a map's keys, and the last spelling of one wins
    fields = sorted(data.items()) if isinstance(data, dict) else []
    given = {key.lower(): value for key, value in fields if value is not None}
    found = {name: given.get(name, "") for name in (*SCOPE, "status", "result", "message")}
    labels = given.get("labels", {})
    texts = [*found.values(), *(labels.values() if isinstance(labels, dict) else [0])]
    if not (isinstance(data, dict | None) and all(isinstance(text, str | None) for text in texts)):
        raise ValueError("could not parse common event data")
    return found | {"labels": labels}


def context_of(text: str) -> str:
    """§1.1: a context that is no uuid is replaced by one made of its first 16 bytes."""
    try:
        uuid.UUID(text)
    except ValueError:
        start = text.encode()[:16].ljust(16)
        return str(uuid.UUID(bytes=start, version=4) if text else uuid.uuid4())
    return text


def faults_of(event: Event, size: int, trigger: Event | None) -> Iterator[tuple[str, str]]:
    """(rule, detail) of all that a strict reader objects to in a started or finished."""
    given = event.get("data")
    data = given if isinstance(given, dict) else {}
    if size > COMFORT:
        yield "oversize", f"{size} bytes"
    if not event.get("triggeredid"):
        yield "missing_triggeredid", ""
    if not is_rfc3339(event.get("time")):
        yield "time", str(event.get("time"))
    for name in event:
        if not re.fullmatch("[a-z0-9]+", name):
            yield "extension_name", name
    labels = data.get("labels")
    if labels is not None and not (
        isinstance(labels, dict) and all(isinstance(value, str) for value in labels.values())
    ):
        yield "labels", json.dumps(labels)
    if tokens(event.get("type"))[-1:] == ["finished"]:
        yield from (("missing_" + name, "") for name in ("status", "result") if not data.get(name))
    if trigger is not None:
        yield from _against(event, data, trigger)


def _against(event: Event, data: Event, trigger: Event) -> Iterator[tuple[str, str]]:
    """What only shows beside the trigger: §0.6 another scope, §0.11 its payload sent back."""
    task, asked = tokens(trigger["type"])[3], trigger["data"]
    for name in SCOPE:
        if data.get(name) != asked[name]:
            yield f"wrong_{name}", str(data.get(name))
    if event.get("shkeptncontext") != trigger["shkeptncontext"]:
        yield "wrong_context", str(event.get("shkeptncontext"))
    if tokens(event.get("type"))[3:4] != [task]:
        yield "wrong_type", str(event.get("type"))
    own = {*SCOPE, "labels", "status", "result", "message", task}
    yield from (("echo", key) for key in data.keys() & asked.keys() - own)
    given, sent = asked.get(task), data.get(task)
    if isinstance(given, dict) and isinstance(sent, dict):
        same = [key for key in given.keys() & sent.keys() if given[key] == sent[key]]
        yield from (("echo", f"{task}.{key}") for key in same)


def _model(body: bytes) -> Event:
    """The API's decoding: keys match without case, unknown ones and what follows are lost."""
    if len(body) > LIMIT:
        raise Refused(400, "http: request body too large")
    try:
        decoded, _ = json.JSONDecoder().raw_decode(body.decode(errors="replace").lstrip())
    except ValueError as error:
        raise Refused(400, str(error)) from None
    if not isinstance(decoded, dict | None):
        raise Refused(400, "json: cannot unmarshal into KeptnContextExtendedCE")
    given = {key.lower(): value for key, value in (decoded or {}).items() if value is not None}
    event = {name: given[name] for name in (*_TEXTS, "time", "data", "extensions") if name in given}
    for name in _TEXTS:
        if not isinstance(event.get(name, ""), str):
            raise Refused(400, f"json: cannot unmarshal into field {name} of type string")
    if not _is_time(_STRFMT, event.get("time", "")):
        raise Refused(400, f"parsing time {event['time']!r}")
    return event


def _check(event: Event) -> None:
    """§3.1, the table of types."""
    parts = tokens(event["type"])
    if event["type"] in _AS_IS:
        return
    if event["type"] == "sh.keptn.event.monitoring.configure":
        data = event["data"] if isinstance(event["data"], dict) else {}
        if not (data.get("project") and data.get("type")):
            raise Refused(400, "mandatory fields(s) 'project', 'service' or 'type' missing")
        return
    if not parts:
        raise Refused(400, "unknown event type")
    if parts[-1] not in _KINDS[len(parts)]:
        raise Refused(400, f"unknown event type action: {parts[-1]}")
    if parts[-1] != "invalidated":
        _check_data(event, parts)


def _check_data(event: Event, parts: list[str]) -> None:
    try:
        data = common(event["data"])
    except ValueError as error:
        raise Refused(400, str(error)) from None
    if not all(data[name] for name in SCOPE):
        raise Refused(400, "mandatory field(s) 'project', 'stage' or 'service' missing")
    if parts[-1] == "triggered":
        if data["stage"] != parts[3]:
            raise Refused(400, "stage name in event data and in event type does not match")
        return
    if not event.get("triggeredid"):
        raise Refused(400, "mandatory field 'triggeredid' missing")
    for name in ("result", "status"):
        if parts[-1] == "finished" and not data[name]:
            raise Refused(400, f"{name} field is not set")


def _is_time(pattern: re.Pattern[str], value: Any) -> bool:
    if not (isinstance(value, str) and pattern.fullmatch(value)):
        return False
    try:
        datetime.fromisoformat(value[:19] or "1970-01-01")
    except ValueError:
        return False
    return True
