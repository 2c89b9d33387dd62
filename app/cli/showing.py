"""What `firstmate get` prints: tables as those of `keptn`, JSON or YAML; asks nobody."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from app.errors import Permanent
from app.events.build import timestamp

BORN = "creationDate"
_NANOSECONDS = 1e9


def listing(found: Sequence[dict[str, Any]], columns: Mapping[str, str], output: str) -> str:
    """A table with these columns, each by its heading; with an `output`, all documents instead.

    Raises:
        Permanent: there is nothing to show.
    """
    if not found:
        raise Permanent(f"no {columns['NAME'].removesuffix('Name')} found")
    if output:
        return "\n".join(document(one, output) for one in found)
    rows = [[*columns], *([_cell(one, key) for key in columns.values()] for one in found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def document(one: Any, output: str) -> str:
    """One document as YAML or JSON."""
    return yaml.safe_dump(one, sort_keys=False) if output == "yaml" else json.dumps(one, indent=3)


def _cell(one: dict[str, Any], key: str) -> str:
    told = str(one.get(key) or "n/a")  # Keptn tells times in nanoseconds
    return timestamp(int(told) / _NANOSECONDS) if key == BORN and told.isdecimal() else told
