"""The rows that the real Go code answered, by the section of the behaviour that they are about."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent / "vectors"
SECTIONS = {
    "cmd_split/cmd": "1.1 formats",
    "cmd_split/config v1": "1.1 formats",
    "yaml_typed": "1.2 fields",
    "yaml_scalars": "1.2 fields",
    "regexp": "1.4 matching",
    "jsonpath": "1.4 matching",
    "jsonpath_match": "1.4 matching",
    "env_format": "1.5 environment",
    "job_names_labels/execute": "1.9 order of actions",
}
"""The sections of job-executor's description; a file, or a file and the kind of its rows."""

ELSEWHERE = {
    "cmd_split/split": "strings.Split itself: `cmd` rows say what it is used for",
    "cmd_split/splitn": "strings.SplitN is not used for a jobconfig",
    "job_names_labels/sanitize": "labels of Kubernetes Jobs, which no engine here makes yet",
    "job_names_labels/labels": "labels of Kubernetes Jobs, which no engine here makes yet",
}
"""Rows that no test reads, and why."""

_asked: Counter[str] = Counter()


def rows(place: str) -> list[Any]:
    """The rows of one of the `SECTIONS`, as parameters of a test."""
    file, _, kind = place.partition("/")
    document = json.loads((FOLDER / f"{file}.json").read_text())
    found = [row for row in document["rows"] if row["name"].startswith(kind and f"{kind}/")]
    for row in found:
        if "doc" in row["in"]:
            row["in"]["document"] = document["docs"][row["in"]["doc"]]
    _asked[place] = len(found)
    return [pytest.param(row, id=row["name"]) for row in found]


def asked() -> Counter[str]:
    """How many rows the tests that were imported so far have asked for, by their place."""
    return _asked


def stored() -> Counter[str]:
    """How many rows there are, by the place that they have in `SECTIONS` or `ELSEWHERE`."""
    found: Counter[str] = Counter()
    for path in sorted(FOLDER.glob("*.json")):
        for row in json.loads(path.read_text())["rows"]:
            kind = f"{path.stem}/{row['name'].partition('/')[0]}"
            found[kind if kind in {**SECTIONS, **ELSEWHERE} else path.stem] += 1
    return found
