"""A jobconfig file to a frozen `JobConfig`, or a `FileError` that names each wrong line.

Where the file comes from and whether its jobs may run is decided elsewhere.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from app.document.scalars import Scalar
from app.document.tree import Mapping, Node, compose, items
from app.document.typed import FileError
from app.jobconfig.formats import parsed
from app.jobconfig.patterns import compiled
from app.jobconfig.schema import Action, Env, JobConfig, Task

__all__ = ["Action", "Env", "FileError", "JobConfig", "Task", "read", "readable_event_names"]

_EVENTS = re.compile(r"""(?:^|[\s{,-])(["']?events["']?)\s*:""")
_NAME = re.compile(r"""(?:^|[\s{,-])["']?name["']?\s*:\s+("[^"]*"|'[^']*'|[^\s,}\]#][^,}\]#]*)""")


@lru_cache(maxsize=32)  # each event reads the same text twice, and so does the next event
def read(text: str, name: str = "job/config.yaml") -> JobConfig:
    """The jobconfig in a text; `name` stands in front of each problem.

    Raises:
        FileError: with all problems of the file.
    """
    tree, problems = compose(text)
    config, wrong = (None, []) if tree is None else parsed(tree)
    if config is None or problems:
        raise FileError(name, [*problems, *wrong])
    return config


def readable_event_names(text: str) -> list[str]:
    """The `actions[].events[].name` that can still be read, and used, in a broken file."""
    tree, _ = compose(text)
    names = _names_by_line(text) if tree is None else _names(tree)
    return [name for name in names if _is_pattern(name)]


def _names(tree: Node) -> Iterator[str]:
    for action in items(tree, "actions"):
        for entry in items(action, "events"):
            name = entry.get("name") if isinstance(entry, Mapping) else None
            if isinstance(name, Scalar) and name.value is not None:
                yield name.text


def _is_pattern(name: str) -> bool:
    try:
        compiled(name)
    except ValueError:
        return False
    return True


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
