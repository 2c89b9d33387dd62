"""`firstmate trigger` and what it is told: the events that the `keptn` command would send."""

import uuid
from collections.abc import Iterable
from typing import Any

from app.cli.remote import EVENTS, PROJECTS, Remote, path
from app.errors import Permanent
from app.events import build, durations, grammar

SOURCE = "https://github.com/keptn/keptn/cli#configuration-change"
"""What the `keptn` command says of itself; integrations in the wild filter by it."""


def trigger(
    keptn: Remote, data: dict[str, Any], *, name: str, labels: Iterable[str], **scope: str
) -> str:
    """Trigger a sequence in a scope of project, stage and service.

    Returns:
        The Keptn context of the new run.

    Raises:
        Permanent: there is no such scope.
    """
    keptn.require(**scope)
    event = {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": SOURCE,
        "type": grammar.of_sequence(scope["stage"], name, "triggered"),
        "datacontenttype": "application/json",
        "data": {**data, **scope, "labels": dict(pairs(labels, "--labels"))},
    }
    return keptn.started(EVENTS, event)


def evaluate(keptn: Remote, now: float, *, labels: Iterable[str], **given: str) -> str:
    """Trigger an evaluation; our own plane has no call for it, so that it gets the event."""
    asked = {key: text for key in ("timeframe", "start", "end") if (text := given.pop(key))}
    period = _period(now, **asked)
    if keptn.place.embedded:
        return trigger(keptn, {"evaluation": period}, name="evaluation", labels=labels, **given)
    at = ("stage", given["stage"], "service", given["service"], "evaluation")
    body = (asked or {"timeframe": "5m"}) | {"labels": dict(pairs(labels, "--labels"))}
    return keptn.started(path(PROJECTS, given["project"], *at), body)


def _period(now: float, timeframe: str = "", start: str = "", end: str = "") -> dict[str, str]:
    """What is looked at, from start to end, as Keptn works it out; by default the last 5 min."""
    if end and (timeframe or not start):
        raise Permanent("--end wants a --start, and takes the place of --timeframe")
    length, since, until = durations.seconds(timeframe or "5m"), _moment(start), _moment(end)
    if length is None or length <= 0:
        raise Permanent(f"--timeframe {timeframe}: write a duration such as 5m or 1h30m")
    begin = since or now - length
    if (over := until or begin + length) <= begin:
        raise Permanent("--end is not after --start")
    return {"start": build.timestamp(begin), "end": build.timestamp(over)}


def _moment(text: str) -> float | None:
    if text and (found := build.seconds(text.removesuffix("Z") + "Z")) is None:
        raise Permanent(f"{text} is no time in UTC: write 2026-01-31T11:59:59")
    return found if text else None


def pairs(texts: Iterable[str], flag: str) -> list[tuple[str, str]]:
    """The (key, value) pairs of texts such as `a=b,c=d`."""
    found = [part.partition("=") for text in texts for part in text.split(",") if part]
    for key, equals, _ in found:
        if not key or not equals:
            raise Permanent(f"{flag} wants key=value pairs with commas between, got {key!r}")
    return [(key, value) for key, _, value in found]


def unfold(texts: Iterable[str]) -> dict[str, Any]:
    """The nested object that dotted keys describe; all values are texts, as `keptn` sends them."""
    result: dict[str, Any] = {}
    for key, value in pairs(texts, "--data"):
        *path, last = key.split(".")
        inner = result
        for part in path:
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):
                raise Permanent(f"--data {key}: {part} is a value and an object at once")
        inner[last] = value
    return result
