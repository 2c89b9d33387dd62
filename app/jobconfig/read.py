"""A jobconfig file of any format to a frozen `JobConfig`, or to a line for each of its faults.

What a key means stands in schema.py; where the file comes from and whether its jobs may run is
decided elsewhere.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache

from app.document.scalars import Scalar, shown
from app.document.tree import Mapping, Node, Problem, Sequence, child, compose, items
from app.document.typed import Parsed, Part, loaded, validated
from app.jobconfig.patterns import compiled
from app.jobconfig.schema import OURS, V1, V2, VERSIONS, Action, Env, JobConfig, Since, Task

__all__ = ["Action", "JobConfig", "Task", "later_keys", "parsed", "read", "readable_event_names"]

_EVENTS = re.compile(r"""(?:^|[\s{,-])(["']?events["']?)\s*:""")
_NAME = re.compile(r"""(?:^|[\s{,-])["']?name["']?\s*:\s+("[^"]*"|'[^']*'|[^\s,}\]#|][^,}\]#]*)""")


@lru_cache(maxsize=32)  # each event reads the same text twice, and so does the next event
def read(text: str, name: str = "job/config.yaml") -> JobConfig:
    """The jobconfig in a text; `name` stands in front of each problem.

    Raises:
        FileError: with all problems of the file.
    """
    return loaded(text, name, parsed)


def parsed(tree: Node) -> Parsed[JobConfig]:
    """The jobconfig in a tree of any format, or what is wrong with it.

    The tree of an old format is upgraded in place.
    """
    written = child(tree, "apiVersion")
    version = written.as_text if isinstance(written, Scalar) else ""
    if version not in VERSIONS and written:
        what = f"apiVersion {shown(version)} is not supported, use {V2}, {OURS} or {V1}"
        return None, [Problem(*written.mark, what)]
    # An alias may name one task in several places.
    tasks = {id(task): task for each in items(tree, "actions") for task in items(each, "tasks")}
    wrong = [problem for task in tasks.values() for problem in _misplaced(task, version)]
    for task in tasks.values():
        if version in ("", V1) and isinstance(task, Mapping):
            _split_command(task, version)
    config, problems = validated(JobConfig, tree, strict=bool(version))
    return config, wrong + problems


def later_keys(part: type[Part], version: str) -> dict[str, str]:
    """The keys of a part that this apiVersion does not know yet, with the first that does.

    Without an apiVersion all keys of v2 may stand in a file.
    """
    return {
        field.alias or name: since.version
        for name, field in part.model_fields.items()
        for since in field.metadata
        if isinstance(since, Since)
        and VERSIONS.index(since.version) > VERSIONS.index(version or V2)
    }


def readable_event_names(text: str) -> list[str]:
    """The `actions[].events[].name` that can still be read, and used, in a broken file."""
    tree, _ = compose(text)
    found = list[str]()
    for name in _names_by_line(text) if tree is None else _names(tree):
        with suppress(ValueError):
            compiled(name)
            found.append(name)
    return found


def _names(tree: Node) -> Iterator[str]:
    entries = (entry for action in items(tree, "actions") for entry in items(action, "events"))
    for name in (child(entry, "name") for entry in entries):
        if isinstance(name, Scalar) and name.value is not None:
            yield name.text


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


def _misplaced(task: Node, version: str) -> Iterator[Problem]:
    """What stands in the task and is not known yet in this apiVersion."""
    for node in (task, *items(task, "env")):
        later = later_keys(Task if node is task else Env, version)
        for key, mark in node.marks.items() if isinstance(node, Mapping) else ():
            if key in later:
                yield Problem(*mark, f"key `{key}` needs apiVersion {later[key]}")
    if version == V1 and isinstance(task, Mapping) and isinstance(task.get("cmd"), Sequence):
        yield Problem(*task.marks["cmd"], f"a list as `cmd` needs apiVersion {V2}")


def _split_command(task: Mapping, version: str) -> None:
    """What job-executor did up to 0.1.2; quotes mean nothing, and no text is one empty word."""
    command = task.get("cmd", Scalar("", task.mark))
    if isinstance(command, Scalar) and (command.value is not None or version == V1):
        words = command.as_text.split(" ")
        scalars = (Scalar(word, command.mark, plain=False) for word in words)
        task["cmd"] = Sequence(command.mark, scalars)
