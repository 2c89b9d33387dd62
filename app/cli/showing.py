"""What `firstmate get` prints: tables as those of `keptn`, JSON or YAML; asks nobody."""

import json
from collections.abc import Sequence
from typing import Any

import yaml

from app.errors import Permanent
from app.events.build import timestamp

Shown = Sequence[tuple[Sequence[str], Any]]
"""Each thing as the cells of a row, and as the whole document."""

_NANOSECONDS = 1e9


def listing(what: str, heading: Sequence[str], shown: Shown, output: str) -> str:
    """A table, or with an `output` all documents, one after the other.

    Raises:
        Permanent: there is nothing to show.
    """
    if not shown:
        raise Permanent(f"no {what} found")
    if output:
        return "\n".join(document(one, output) for _, one in shown)
    rows = [heading, *(cells for cells, _ in shown)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def document(one: Any, output: str) -> str:
    """One document as YAML or JSON."""
    if output == "yaml":
        return yaml.safe_dump(one, sort_keys=False)
    return json.dumps(one, indent=3)


def created(view: dict[str, Any]) -> str:
    """When something was created, which Keptn tells in nanoseconds."""
    told = str(view.get("creationDate") or "")
    return timestamp(int(told) / _NANOSECONDS) if told.isdecimal() else "n/a"
