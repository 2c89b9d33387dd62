"""The formats that a jobconfig can have: which keys each knows, and what an older one becomes.

What a key means stands in schema.py; no text is read here.
"""

from collections.abc import Iterator

from app.document.scalars import Scalar, shown
from app.document.tree import Mapping, Node, Problem, Sequence, items
from app.document.typed import Part, validated
from app.jobconfig.schema import OURS, V1, V2, VERSIONS, Env, JobConfig, Since, Task


def parsed(tree: Node) -> tuple[JobConfig | None, list[Problem]]:
    """The jobconfig in a tree of any format, or what is wrong with it.

    The tree of an old format is upgraded in place.
    """
    written = tree.get("apiVersion") if isinstance(tree, Mapping) else None
    version = written.text if isinstance(written, Scalar) and written.value is not None else ""
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
    return (None if wrong else config), wrong + problems


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
        text = "" if command.value is None else command.text
        words = Sequence(Scalar(word, command.mark, plain=False) for word in text.split(" "))
        words.mark = command.mark
        task["cmd"] = words
