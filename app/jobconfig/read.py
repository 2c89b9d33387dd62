"""A jobconfig file to a frozen `JobConfig`, or a `ConfigError` that names each wrong line.

Where the file comes from and whether its jobs may run is decided elsewhere.
"""

import difflib
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache, reduce
from operator import getitem
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from app.errors import Permanent
from app.jobconfig.document import Mapping, Node, Problem, Sequence, compose
from app.jobconfig.scalars import Scalar
from app.jobconfig.schema import Action, Env, JobConfig, Task, compiled, homes

__all__ = ["Action", "ConfigError", "Env", "JobConfig", "Task", "read", "readable_event_names"]

# What pydantic's error types, up to their first underscore, ask for.
_WANTED = {
    "string": "a text",
    "bool": "true or false",
    "int": "a whole number without quotes",
    "greater": "a larger number",
    "less": "a smaller number",
    "tuple": "a list such as [a, b]",
    "dict": "a mapping",
    "model": "a mapping",
}
_EVENTS = re.compile(r"""(?:^|[\s{,-])(["']?events["']?)\s*:""")
_NAME = re.compile(r"""(?:^|[\s{,-])["']?name["']?\s*:\s+("[^"]*"|'[^']*'|[^\s,}\]#][^,}\]#]*)""")


class ConfigError(Permanent):
    """The file cannot be used; `problems` are its lines `<name>:<line>: <what>`, in their order."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


@lru_cache(maxsize=32)  # each event reads the same text twice, and so does the next event
def read(text: str, name: str = "job/config.yaml") -> JobConfig:
    """The jobconfig in a text; `name` stands in front of each problem.

    Raises:
        ConfigError: with all problems of the file.
    """
    tree, problems = compose(text)
    config, wrong = (None, []) if tree is None else _validated(tree)
    if config is None or problems:
        found = sorted({*problems, *wrong})
        raise ConfigError(f"{name}:{problem.line}: {problem.text}" for problem in found)
    return config


def readable_event_names(text: str) -> list[str]:
    """The `actions[].events[].name` that can still be read, and used, in a broken file."""
    tree, _ = compose(text)
    names = _names_by_line(text) if tree is None else _names(tree)
    return [name for name in names if _is_pattern(name)]


def _validated(tree: Node) -> tuple[JobConfig | None, list[Problem]]:
    version = tree.get("apiVersion") if isinstance(tree, Mapping) else None
    if isinstance(version, Scalar) and version.value is not None and version.text != "v2":
        shown = " ".join(version.text.split())[:40]
        return None, [Problem(version.line, f"apiVersion {shown} is not supported, use v2")]
    try:
        config = JobConfig.model_validate(tree)
    except ValidationError as error:
        return None, [_problem(tree, detail) for detail in error.errors(include_input=False)]
    if not config.api_version:
        return None, [Problem(1, "apiVersion must be specified: write `apiVersion: v2`")]
    return config, []


def _problem(tree: Any, detail: ErrorDetails) -> Problem:
    """What pydantic found, with the line of the value, or of a key that does not belong there."""
    place, kind = detail["loc"], detail["type"].partition("_")[0]
    path = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in place)
    where = f"{path.removeprefix('.')}: " if path else ""
    if kind == "extra":
        line = reduce(getitem, place[:-1], tree).lines[place[-1]]
        return Problem(line, f"{where}unknown key{_remedy(str(place[-1]))}")
    node = reduce(getitem, place, tree)
    if kind == "value":
        what = f"no regular expression ({detail['ctx']['error']})"
        remedy = r"names are regular expressions: write .*\.triggered$, not *.triggered"
        return Problem(node.line, f"{where}{what}; {remedy}")
    return Problem(node.line, f"{where}must be {_WANTED[kind]}, not {node}")


def _remedy(key: str) -> str:
    known = homes()
    near = difflib.get_close_matches(key, known, 1, cutoff=0.75)
    return f", did you mean `{near[0]}` (a key of {known[near[0]]})?" if near else ""


def _names(tree: Node) -> Iterator[str]:
    for action in _items(tree, "actions"):
        for entry in _items(action, "events"):
            name = entry.get("name") if isinstance(entry, Mapping) else None
            if isinstance(name, Scalar) and name.value is not None:
                yield name.text


def _is_pattern(name: str) -> bool:
    try:
        compiled(name)
    except ValueError:
        return False
    return True


def _items(node: Node, key: str) -> list[Node]:
    found = node.get(key) if isinstance(node, Mapping) else None
    return list(found) if isinstance(found, Sequence) else []


def _names_by_line(text: str) -> Iterator[str]:
    """The names below `events:` by indentation alone, for a text that is no YAML."""
    column: int | None = None
    for line in filter(str.strip, text.splitlines()):
        if begin := _EVENTS.search(line):
            column = begin.start(1)
        indent = len(line) - len(line.lstrip(" -"))
        if column is None or (not begin and indent <= column):
            column = None
            continue
        yield from (name.strip().strip("\"'") for name in _NAME.findall(line))
