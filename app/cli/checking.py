"""`firstmate check`: what is wrong, or odd, in the files that people write; changes nothing.

Each kind of file is read by its own reader, as the service would read it.
"""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple, NoReturn

import click

from app import routes, settings
from app.cli import clustering
from app.cli.layout import Layout
from app.cli.words import Words
from app.document.scalars import Mark, Scalar
from app.document.tree import Mapping, Node, Problem, child, compose, items, place_of
from app.document.typed import FileError, near
from app.document.watched import content
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

commands = Words("checking")
_CLOSED = frozenset({"spec", "stages", "sequences", "tasks", "triggeredOn"})
_OPEN = frozenset({"metadata", "properties", "selector"})
_VALUES = ("apiVersion", "kind", "name", "event", "triggeredAfter")
_SHIPYARD = dict.fromkeys((*_CLOSED, *_OPEN, *_VALUES), "")
"""A shipyard's keys: below the closed ones only such may stand, below the open ones any."""

_KINDS = {
    "jobconfig": {"actions"},
    "shipyard": {"spec"},
    "routes": {"channels", "routes"},
    "policy": {"rules", "projects"},
}
"""The kinds of files, with the keys at the top that tell them."""


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

    def __init__(self) -> None:
        given = settings.load()
        images = given.runner != "process" and find_cli(given.container_cli, os.environ)
        self._needs_cmd = not (images or given.in_cluster)
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

    def _look(self, path: Path) -> Iterator[tuple[str, Problem]]:
        try:
            yield from (("warning", one) for one in self._oddities(content("the file", path), path))
        except FileError as error:
            yield from (("error", one) for one in error.found)

    def _oddities(self, text: str, path: Path) -> Iterator[Problem]:
        """What is hardly meant so; a FileError tells what is wrong."""
        file, (tree, problems) = str(path), compose(text)
        if tree is None:
            raise FileError(file, problems)
        match _kind(tree, path.name):
            case "jobconfig":
                yield from examine(text, file, needs_cmd=self._needs_cmd)
                for entry in _each(tree, "actions", "events"):
                    self._heard.append((file, place_of(entry, "name"), _text(entry, "name")))
            case "shipyard":
                yield from chain(problems, _strange(tree))
                self._shipyard(text, file, tree)
            case "routes":
                routes.read(text, file)
            case "policy":
                rules.read(text, file)

    def _shipyard(self, text: str, file: str, tree: Node) -> None:
        try:
            shipyard.parse(text)
        except Refused as error:
            said = str(error).removeprefix("shipyard.yaml: ")
            place = place_of(tree, *said.partition(":")[0].split("."))
            raise FileError(file, [Problem(*place, said)]) from None
        for task in _each(child(tree, "spec") or tree, "stages", "sequences", "tasks"):
            event_type = grammar.of_task(_text(task, "name"), "triggered")
            self._asked.append((file, place_of(task, "name"), event_type))
            if (delay := _text(task, "triggeredAfter")) and durations.seconds(delay) is None:
                what = "triggeredAfter must be a duration such as 10m"
                raise FileError(file, [Problem(*place_of(task, "triggeredAfter"), what)])

    def _compare(self) -> Iterator[tuple[str, str, Problem]]:
        """Tasks that no action hears, and events that no sequence has.

        Asked only where no file has an error, for then names may be missing.
        """
        if not (self._asked and self._heard):
            return
        for file, mark, event_type in self._asked:
            if not any(name_matches(pattern, event_type) for *_, pattern in self._heard):
                what = f"no action is for {event_type}; another integration may be"
                yield file, "warning", Problem(*mark, what)
        for file, mark, pattern in self._heard:
            if not any(name_matches(pattern, event_type) for *_, event_type in self._asked):
                what = f"event name `{pattern}` is in no shipyard"
                yield file, "warning", Problem(*mark, what)


@commands.word("check [FILES] [--cluster] [--strict] [--json]")
def check(files: Sequence[Path], *, cluster: bool, strict: bool, as_json: bool) -> NoReturn:
    """Check job configs, shipyards, routes and policies: FILES, or all of a folder's project."""
    if cluster and files:
        raise click.UsageError("--cluster looks at what is around the service, and at no FILES")
    chosen = chain.from_iterable(map(_files, files or [Path()]))
    found = clustering.findings() if cluster else Check().findings(chosen)
    if as_json:
        click.echo(json.dumps([one._asdict() for one in found], indent=2))
    else:
        click.echo("".join(f"{one}\n" for one in found), nl=False)
    grave = ("error", "warning") if strict else ("error",)
    raise SystemExit(int(any(one.severity in grave for one in found)))


@commands.word("schema [KIND]")
def schema(kind: str) -> str:
    """Print the JSON Schema of a kind of file, for editors."""
    if kind == "jobconfig":
        return json.dumps(editor.schema(), indent=2)
    model = {"routes": RoutesFile, "policy": rules.PolicyFile}[kind]
    return json.dumps(editor.loosened(model.model_json_schema()), indent=2)


def _files(path: Path) -> list[Path]:
    """A file, or those of the project in a folder."""
    if not path.is_dir():
        return [path]
    operators = map(path.joinpath, ("shipyard.yaml", "routes.yaml", "policy.yaml"))
    found = [*filter(Path.is_file, operators), *Layout(path).configs()]
    if not found:
        raise Permanent(f"no shipyard.yaml and no job config in {path.resolve()}: name the files")
    return found


def _kind(tree: Node, name: str) -> str:
    """What a file is, by its content; where that says nothing, by its name."""
    keys = {*tree} if isinstance(tree, Mapping) else set[str]()
    by_content = (kind for kind, telling in _KINDS.items() if keys & telling)
    by_name = (kind for kind in _KINDS if kind in name)
    return next(chain(by_content, by_name), "jobconfig")


def _each(node: Node, *lists: str) -> Iterable[Node]:
    """Every part that stands in the lists below these keys."""
    if not lists:
        return [node]
    return chain.from_iterable(_each(one, *lists[1:]) for one in items(node, lists[0]))


def _text(node: Node, key: str) -> str:
    found = child(node, key)
    return found.as_text if isinstance(found, Scalar) else ""


def _strange(node: Node) -> Iterator[Problem]:
    """The keys of a shipyard that Keptn ignores, which people hardly want."""
    if isinstance(node, list):
        yield from chain.from_iterable(map(_strange, node))
    elif isinstance(node, Mapping):
        for key, below in node.items():
            if key in _CLOSED:
                yield from _strange(below)
            elif key not in _SHIPYARD:
                what = f"Keptn ignores the key `{key}`{near(key, _SHIPYARD)}"
                yield Problem(*node.marks[key], what)
