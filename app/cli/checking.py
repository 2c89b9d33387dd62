"""`firstmate check`: what is wrong, or odd, in the files that people write; changes nothing.

Each kind of file is read by its own reader, as the service would read it.
"""

import difflib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from app import routes, settings
from app.cli import layout
from app.cli.layout import Layout
from app.document.scalars import Mark
from app.document.tree import Mapping, Node, Problem, compose
from app.document.typed import FileError
from app.engines.container import find_cli
from app.errors import Permanent
from app.events import durations, grammar
from app.jobconfig import editor
from app.jobconfig.findings import examine
from app.jobconfig.match import name_matches
from app.notifiers.channel import RoutesFile
from app.plane import shipyard
from app.plane.validation import Refused
from app.policy import rules
from app.tasks.files import checked

Told = Iterator[tuple[str, Problem]]
Place = tuple[str | int, ...]
_CLOSED = frozenset({"spec", "stages", "sequences", "tasks", "triggeredOn"})
_OPEN = frozenset({"metadata", "properties", "selector"})
_SHIPYARD = _CLOSED | _OPEN | {"apiVersion", "kind", "name", "event", "triggeredAfter"}
"""A shipyard's keys: below the closed ones only such may stand, below the open ones any."""


class Finding(NamedTuple):
    """One line for people: an `error` keeps the file from being used, a `warning` does not."""

    file: str
    line: int
    column: int
    text: str
    severity: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.severity}: {self.text}"


class Check:
    """Looks at files one by one, and then holds shipyards and job configs against each other."""

    def __init__(self, *, needs_cmd: bool) -> None:
        self._needs_cmd = needs_cmd
        self._asked: list[tuple[str, Mark, str]] = []
        """The triggered events of the shipyards' tasks, each with its file and place."""
        self._heard: list[tuple[str, Mark, str]] = []
        """The event names of the job configs' actions, likewise."""

    def findings(self, files: Iterable[Path]) -> list[Finding]:
        """All that is to be said of these files.

        Raises:
            Permanent: one cannot be read at all.
        """
        told = [(str(path), *one) for path in files for one in self._look(path)]
        if not any(severity == "error" for _, severity, _ in told):
            told += self._compare()
        return sorted({Finding(file, *problem, severity) for file, severity, problem in told})

    def _look(self, path: Path) -> Told:
        text = layout.text(path)
        tree, problems = compose(text)
        if tree is None:
            return (("error", one) for one in problems)
        look: Callable[[Path, str, Node], Told] = getattr(self, f"_{_kind(tree, path.name)}")
        return look(path, text, tree)

    def _jobconfig(self, path: Path, text: str, tree: Node) -> Told:
        found = examine(text, str(path), needs_cmd=self._needs_cmd)
        yield from (("error", one) for one in found.problems)
        yield from (("warning", one) for one in found.findings)
        for where, entry in _each(found.config, "actions", "events"):
            self._heard.append((str(path), _mark(tree, (*where, "name")), entry.name))
        there = {name for level in Layout.around(path).levels() for name in layout.files(level)}
        for where, file in _each(found.config, "actions", "tasks", "files"):
            if said := _missing(file, there):
                yield "warning", Problem(*_mark(tree, where), said)

    def _shipyard(self, path: Path, text: str, tree: Node) -> Told:
        yield from (("warning", one) for one in chain(compose(text)[1], _strange(tree)))
        try:
            found = shipyard.parse(text)
        except Refused as error:
            said = str(error).removeprefix("shipyard.yaml: ")
            yield "error", Problem(*_mark(tree, said.partition(":")[0].split(".")), said)
            return
        for where, task in _each(found, "stages", "sequences", "tasks"):
            event_type = grammar.of_task(task.name, "triggered")
            self._asked.append((str(path), _mark(tree, ("spec", *where, "name")), event_type))
            if task.triggered_after and durations.seconds(task.triggered_after) is None:
                mark = _mark(tree, ("spec", *where, "triggeredAfter"))
                yield "error", Problem(*mark, "triggeredAfter must be a duration such as 10m")

    def _routes(self, path: Path, text: str, _: Node) -> Told:
        return _refused(routes.read, path, text)

    def _policy(self, path: Path, text: str, _: Node) -> Told:
        return _refused(rules.read, path, text)

    def _compare(self) -> Iterator[tuple[str, str, Problem]]:
        """Tasks that no action hears, and events that no sequence has.

        Asked only where no file has an error, for then names may be missing.
        """
        if not (self._asked and self._heard):
            return
        types = {event_type for *_, event_type in self._asked}
        patterns = {pattern for *_, pattern in self._heard}
        for file, mark, event_type in self._asked:
            if not any(name_matches(pattern, event_type) for pattern in patterns):
                what = f"no action is for {event_type}; another integration may be"
                yield file, "warning", Problem(*mark, what)
        for file, mark, pattern in self._heard:
            if not any(name_matches(pattern, event_type) for event_type in types):
                what = f"event name `{pattern}` is in no shipyard"
                yield file, "warning", Problem(*mark, what)


def check(files: Sequence[Path]) -> list[Finding]:
    """What is to be said of these files, or of the project in the current folder.

    Raises:
        Permanent: there is nothing to check, or a file cannot be read at all.
    """
    given = settings.load()
    images = given.runner != "process" and find_cli(given.container_cli, os.environ)
    needs_cmd = not (images or given.in_cluster)
    return Check(needs_cmd=needs_cmd).findings(files or _project(Path()))


def report(findings: Iterable[NamedTuple], *, as_json: bool) -> str:
    """A line for each, or one JSON list."""
    if as_json:
        return json.dumps([one._asdict() for one in findings], indent=2) + "\n"
    return "".join(f"{one}\n" for one in findings)


def schema(kind: str) -> str:
    """The JSON Schema of a kind of file."""
    if kind == "jobconfig":
        return json.dumps(editor.schema(), indent=2)
    model = {"routes": RoutesFile, "policy": rules.PolicyFile}[kind]
    return json.dumps(editor.loosened(model.model_json_schema()), indent=2)


def _project(folder: Path) -> list[Path]:
    operators = (folder / name for name in ("shipyard.yaml", "routes.yaml", "policy.yaml"))
    found = [*filter(Path.is_file, operators), *Layout(folder).configs()]
    if not found:
        raise Permanent("no shipyard.yaml and no job config in this folder: name the files")
    return found


def _refused(read: Callable[[str, str], object], path: Path, text: str) -> Told:
    """Why the service would not take the file."""
    try:
        read(text, str(path))
    except FileError as error:
        yield from (("error", one) for one in error.found)


def _kind(tree: Node, name: str) -> str:
    """What a file is, by its content; where that says nothing, by its name."""
    keys = tree.keys() if isinstance(tree, Mapping) else set()
    telling = {"actions": "jobconfig", "spec": "shipyard", "channels": "routes", "routes": "routes"}
    telling |= dict.fromkeys(("rules", "projects"), "policy")
    by_content = (kind for key, kind in telling.items() if key in keys)
    by_name = (kind for kind in ("shipyard", "routes", "policy") if kind in name)
    return next(chain(by_content, by_name), "jobconfig")


def _missing(entry: str, there: Iterable[str]) -> str:
    """What is wrong with an entry of `files`, if these files are there."""
    try:
        path = checked(entry)
    except Permanent as error:
        return str(error)
    found = any(f"{name}/".startswith(f"{path}/") for name in there)
    return "" if found else f"no file or folder `{path}` on any level"


def _each(part: Any, *keys: str) -> Iterator[tuple[Place, Any]]:
    """Every part that stands in the lists below these keys, with its place in the tree."""
    if not keys:
        yield (), part
        return
    for number, one in enumerate(getattr(part, keys[0], ())):
        for place, leaf in _each(one, *keys[1:]):
            yield (keys[0], number, *place), leaf


def _strange(node: Node) -> Iterator[Problem]:
    """The keys of a shipyard that Keptn ignores, which people hardly want."""
    below: list[Node] = []
    if isinstance(node, Mapping):
        for key in node.keys() - _SHIPYARD:
            near = difflib.get_close_matches(key, _SHIPYARD, 1)
            remedy = f", did you mean `{near[0]}`?" if near else ""
            yield Problem(*node.marks[key], f"Keptn ignores the key `{key}`{remedy}")
        below = [node[key] for key in node.keys() & _CLOSED]
    for one in node if isinstance(node, list) else below:
        yield from _strange(one)


def _mark(tree: Node, where: Iterable[str | int]) -> Mark:
    """The mark of what stands there, or of the nearest thing around it that does."""
    node: Any = tree
    for step in where:
        try:
            node = node[int(step) if isinstance(node, list) else step]
        except (LookupError, TypeError, ValueError):
            break
    return Mark(*node.mark)
