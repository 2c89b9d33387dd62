"""Which actions of a jobconfig an event is for.

No I/O and no opinion on what happens to them.
"""

from collections.abc import Mapping
from typing import Any

from app.jobconfig.paths import PathError, find
from app.jobconfig.patterns import compiled
from app.jobconfig.schema import EventFilter, JobConfig
from app.jobconfig.values import as_json


def matching(config: JobConfig, event: Mapping[str, Any]) -> list[int]:
    """The indices of the actions with an entry for this event (`env.event_map`), in file order."""
    return [
        index
        for index, action in enumerate(config.actions)
        if any(_matches(entry, event) for entry in action.events)
    ]


def name_matches(pattern: str, event_type: str) -> bool:
    """Whether the pattern is found anywhere in the type, as Go's regexp would find it.

    Raises:
        ValueError: it is no regular expression, which `read` refuses with its line.
    """
    return compiled(pattern).search(event_type.encode(errors="replace").decode()) is not None


def _matches(entry: EventFilter, event: Mapping[str, Any]) -> bool:
    if not name_matches(entry.name, event["type"]):
        return False
    if not entry.jsonpath.property:
        return True
    try:
        value = find(entry.jsonpath.property, event)
    except PathError:
        return False
    text = as_json(value) if isinstance(value, bool | int | float) else value
    return bool(text == entry.jsonpath.match)
