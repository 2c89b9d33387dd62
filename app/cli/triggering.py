"""`firstmate trigger` and what it is told: the events that the `keptn` command would send."""

import uuid
from collections.abc import Iterable
from typing import Any

from app.cli.remote import EVENTS, PROJECTS, Remote, path
from app.errors import Permanent
from app.events import grammar

SOURCE = "https://github.com/keptn/keptn/cli#configuration-change"
"""What the `keptn` command says of itself; integrations in the wild filter by it."""


def trigger(keptn: Remote, data: dict[str, Any], *, name: str, labels: str, **scope: str) -> str:
    """Trigger a sequence in a scope of project, stage and service.

    Returns:
        The Keptn context of the new run.
    """
    event = {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": SOURCE,
        "type": grammar.of_sequence(scope["stage"], name, "triggered"),
        "datacontenttype": "application/json",
        "data": {**data, **scope, "labels": dict(pairs([labels], "--labels"))},
    }
    return keptn.started(EVENTS, event)


def evaluate(
    keptn: Remote, *, timeframe: str, start: str, end: str, labels: str, **scope: str
) -> str:
    """Trigger an evaluation; our own plane has no call for it, so that it gets the event."""
    given = {"timeframe": timeframe, "start": start, "end": end}
    period = {key: text for key, text in given.items() if text} or {"timeframe": "5m"}
    if keptn.place.embedded:
        return trigger(keptn, {"evaluation": period}, name="evaluation", labels=labels, **scope)
    at = ("stage", scope["stage"], "service", scope["service"], "evaluation")
    call = path(PROJECTS, scope["project"], *at)
    return keptn.started(call, period | {"labels": dict(pairs([labels], "--labels"))})


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
