"""A reading for authors' tools: what is wrong with a file, and what is only suspicious.

The service itself reads with read.py; nothing here changes what a file means.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from app.document.scalars import Mark, shown
from app.document.tree import Node, Problem, child, compose, items
from app.document.typed import validated
from app.jobconfig.paths import fault
from app.jobconfig.patterns import can_match
from app.jobconfig.read import parsed
from app.jobconfig.schema import EventFilter, JobConfig

_NO_CMD = "a task without `cmd`: the engine in use runs commands, and does not know the image's"


@dataclass(frozen=True, slots=True)
class Examined:
    """What there is to say of a file: without problems it is used, whatever was found.

    Both are in the order of the file; line and column count from 1.
    """

    name: str
    config: JobConfig | None
    problems: tuple[Problem, ...]
    findings: tuple[Problem, ...]


def examine(text: str, name: str, *, needs_cmd: bool = False) -> Examined:
    """Read a jobconfig for its author; `needs_cmd` says that the engine in use runs no images."""
    tree, problems = compose(text)
    config, wrong = (None, []) if tree is None else parsed(tree)
    problems += wrong
    if tree is None or config is None or problems:
        return Examined(name, None, tuple(sorted(set(problems))), ())
    # Unknown keys are no problems in a file without apiVersion.
    found = {*_of_file(config, tree, needs_cmd=needs_cmd), *validated(JobConfig, tree)[1]}
    return Examined(name, config, (), tuple(sorted(found)))


def _of_file(config: JobConfig, tree: Node, *, needs_cmd: bool) -> Iterator[Problem]:
    if config.upgraded:
        yield Problem(*_place(tree, "apiVersion"), config.upgraded)
    for action, node in zip(config.actions, items(tree, "actions"), strict=True):
        for key, what in (("events", "never runs"), ("tasks", "does nothing and answers pass")):
            if not items(node, key):
                yield Problem(*node.mark, f"an action without `{key}` {what}")
        for entry, at in zip(action.events, items(node, "events"), strict=True):
            yield from _of_entry(entry, at)
        names = Counter(task.name for task in action.tasks)
        for task, at in zip(action.tasks, items(node, "tasks"), strict=True):
            if names[task.name] > 1:
                yield Problem(*_place(at, "name"), f"{names[task.name]} tasks have this name")
            if needs_cmd and not any(task.cmd):
                yield Problem(*_place(at, "image"), _NO_CMD)


def _of_entry(entry: EventFilter, node: Node) -> Iterator[Problem]:
    if not can_match(entry.name):
        what = f"event name `{shown(entry.name)}` matches no sh.keptn.event.<task>.triggered"
        yield Problem(*_place(node, "name"), f"{what}, and only such events start jobs")
    if entry.jsonpath.property and (said := fault(entry.jsonpath.property)):
        yield Problem(*_place(node, "jsonpath"), f"matches nothing: {shown(said, 200)}")


def _place(node: Node, key: str) -> Mark:
    """Where the key's value stands, or the part that lacks it."""
    found = child(node, key)
    return node.mark if found is None else found.mark
