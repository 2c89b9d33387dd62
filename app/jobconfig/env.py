"""The environment of a task: its own entries, Keptn's three names, and the event's labels.

Nothing here starts anything; `expand` is for whoever puts a command line together.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from app.errors import Permanent
from app.events.parse import Event
from app.jobconfig.paths import PathError, find
from app.jobconfig.schema import Env, Task
from app.jobconfig.values import as_json, as_plain, as_yaml

_REFERENCE = re.compile(r"\$\$|\$\(([^)]*)\)")
_SEEN = ("id", "shkeptncontext", "time", "source", "data", "specversion", "type", "gitcommitid")
SecretReader = Callable[[str], Mapping[str, str]]
_FORMS = {"json": as_json, "yaml": as_yaml}


def event_map(event: Event) -> dict[str, Any]:
    """The event as paths see it; job-executor knows no other attributes."""
    return {name: getattr(event, name) for name in _SEEN}


def environment(task: Task, event: Event, secret: SecretReader) -> dict[str, str]:
    """The variables in the order in which they are set; what comes later wins.

    Args:
        task: its entries come first, in file order.
        event: what paths are looked up in, and whose labels come last.
        secret: gives the keys of a Secret, which all become variables, or raises `Permanent`.

    Raises:
        Permanent: an entry cannot be filled, in job-executor's words.
    """
    document = event_map(event)
    variables: dict[str, str] = {}
    for entry in task.env:
        if entry.value_from == "secret":
            variables.update(secret(entry.name))
        else:
            variables[entry.name] = _value(entry, document)
    for key in ("project", "stage", "service"):
        variables[f"KEPTN_{key.upper()}"] = event.named(key)
    for key, value in event.labels.items():
        variables[f"LABELS_{_upper(key.replace('-', '_').replace(' ', '_'))}"] = value
    return variables


def expand(text: str, env: Mapping[str, str]) -> str:
    """Kubernetes' expansion: `$(NAME)` where NAME is set, `$$` for one dollar, nothing else."""

    def replace(found: re.Match[str]) -> str:
        return "$" if found[0] == "$$" else env.get(found[1], found[0])

    return _REFERENCE.sub(replace, text)


def _value(entry: Env, document: Mapping[str, Any]) -> str:
    if entry.value_from == "string":
        return entry.value
    if entry.value_from != "event":
        what = f"name {entry.name}, unknown valueFrom {entry.value_from}"
        raise Permanent(f"could not add env with {what}")
    try:
        value = find(entry.value, document)
    except PathError as error:
        what = f"name '{entry.name}', value '{entry.value}', valueFrom 'event'"
        raise Permanent(f"could not add env with {what}: {error}") from None
    return _FORMS.get(entry.as_.lower(), as_plain)(value)


def _upper(name: str) -> str:
    """Upper case rune by rune, as Go has it: `ß` stays, for its upper case is two letters."""
    return "".join(
        next(form for form in (rune.upper(), rune.title(), rune) if len(form) == 1) for rune in name
    )
