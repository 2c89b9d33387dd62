"""A reading for authors' tools: what of a file that can be used is hardly meant so.

The service itself reads with read.py; nothing here changes what a file means.
"""

from collections.abc import Iterator

from app.document.scalars import shown
from app.document.tree import Node, Problem, items, place_of
from app.document.typed import Parsed, loaded, validated
from app.jobconfig.paths import BadPath, PathError, find
from app.jobconfig.patterns import can_match
from app.jobconfig.read import parsed
from app.jobconfig.schema import Env, EventFilter, JobConfig

_NO_CMD = "a task without `cmd`: the engine in use runs commands, and does not know the image's"


def examine(text: str, name: str, *, needs_cmd: bool = False) -> list[Problem]:
    """What an author should hear of a jobconfig, in its order.

    `needs_cmd` says that the engine in use runs no images.

    Raises:
        FileError: with all problems of the file.
    """

    def examined(tree: Node) -> Parsed[list[Problem]]:
        config, problems = parsed(tree)
        if config is None or problems:
            return None, problems
        # Unknown keys are no problems in a file without apiVersion.
        found = {*_of_file(config, tree, needs_cmd=needs_cmd), *validated(JobConfig, tree)[1]}
        return sorted(found), []

    return loaded(text, name, examined)


def _of_file(config: JobConfig, tree: Node, *, needs_cmd: bool) -> Iterator[Problem]:
    if config.upgraded:
        yield Problem(*place_of(tree, "apiVersion"), config.upgraded)
    for action, node in zip(config.actions, items(tree, "actions"), strict=True):
        for entry, at in zip(action.events, items(node, "events"), strict=True):
            yield from _of_entry(entry, at)
        for task, at in zip(action.tasks, items(node, "tasks"), strict=True):
            if needs_cmd and not any(task.cmd):
                yield Problem(*place_of(at, "image"), _NO_CMD)
            if task.max_poll_duration is not None and task.max_poll_duration <= 0:
                yield Problem(*place_of(at, "maxPollDuration"), "leaves the task no time to run in")
            for env, there in zip(task.env, items(at, "env"), strict=True):
                yield from _of_env(env, there)


def _of_env(env: Env, node: Node) -> Iterator[Problem]:
    if env.value_from not in ("string", "event", "secret"):
        what = f"`valueFrom` must be string, event or secret, not {shown(env.value_from)!r}"
        yield Problem(*place_of(node, "valueFrom"), f"{what}: the task cannot run")
    elif env.value_from == "event":
        yield from _of_path(env.value, node, "value")


def _of_path(path: str, node: Node, key: str) -> Iterator[Problem]:
    try:
        find(path or "$", {})
    except BadPath as error:
        yield Problem(*place_of(node, key), f"matches nothing: {shown(str(error), 200)}")
    except PathError:
        pass  # in an event it may lead somewhere


def _of_entry(entry: EventFilter, node: Node) -> Iterator[Problem]:
    if not can_match(entry.name):
        what = f"event name `{shown(entry.name)}` matches no sh.keptn.event.<task>.triggered"
        yield Problem(*place_of(node, "name"), f"{what} or .finished, and such events start jobs")
    yield from _of_path(entry.jsonpath.property, node, "jsonpath")
