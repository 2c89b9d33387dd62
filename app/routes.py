"""routes.yaml: which events go to which channels; read when it changes, matched without waiting.

How a notice looks and how it travels is decided below.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pydantic_core import to_json

from app.document.tree import Node, Problem, child, items
from app.document.typed import Parsed, loaded, validated
from app.document.watched import Watched
from app.errors import Permanent
from app.events import Event, Message, parse
from app.notifiers import KINDS, notice, template, webhook
from app.notifiers.channel import Address, Channel, Globs, Notifier, Route, RoutesFile
from app.notifiers.notice import Notice
from app.outbound import Outbound

FORWARD = "cloudevent"
"""The channel of FORWARD_URL, which gets what Keptn is sent, whatever the file says."""

CONDITIONS = ("project", "stage", "service", "result", "status")
Made = tuple[tuple[Route, ...], dict[str, Notifier]]


@dataclass(frozen=True)
class Terms:
    """What the operator gives; `environ` holds the variables that the file may name."""

    file: Path | None = None
    forward_url: str = ""
    bridge_url: str = ""
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)


class Routes:
    """The routes as the file has them now.

    Raises:
        Permanent: the file cannot be read; a `FileError` with its `problems`, where it is broken.
    """

    def __init__(self, terms: Terms, outbound: Outbound) -> None:
        self._terms, self._outbound = terms, outbound
        self._file = Watched("ROUTES_FILE", terms.file, self._load, self._made(RoutesFile()))

    @property
    def notifiers(self) -> Mapping[str, Notifier]:
        """The channels by name; another object after each change."""
        return self._file.value[1]

    def refreshed(self) -> Mapping[str, Notifier]:
        """The channels after a look at the file; a broken one is told, and not used."""
        return self._file.refreshed()[1]

    def announce(self, told: Event | Message) -> list[tuple[str, str]]:
        """The letters, as (channel, body), that an event asks for; a `Message` is one of ours.

        Called from any thread, perhaps twice for one event.
        """
        (routes, notifiers), pinned = self._file.value, dict[str, Any]()
        if isinstance(told, Message) and self._terms.forward_url:
            pinned[FORWARD] = None
        if not (routes or pinned):
            return []
        event = parse.restore(told.body) if isinstance(told, Message) else told
        facts = notice.of(event, self._terms.bridge_url)
        for route in routes:
            if _matches(route, facts):
                pinned = dict.fromkeys(route.channels, route.template) | pinned
        return [(name, _letter(notifiers[name], told, facts, own)) for name, own in pinned.items()]

    def sample(self, channel: str) -> str:
        """The body of a letter that shows what a channel does with one.

        Raises:
            Permanent: there is no such channel.
        """
        if not (notifier := self.notifiers.get(channel)):
            there = ", ".join(self.notifiers) or "none; name them in the file of ROUTES_FILE"
            raise Permanent(f"there is no channel {channel!r}; there are: {there}")
        event = parse.read(webhook.ready("sample"))
        return _letter(notifier, event, notice.of(event, self._terms.bridge_url), None)

    def _load(self, text: str) -> Made:
        return self._made(read(text, str(self._terms.file)))

    def _made(self, file: RoutesFile) -> Made:
        terms = self._terms
        forward = Channel.model_construct(
            name=FORWARD, kind="cloudevent", url_from=Address(env="FORWARD_URL")
        )
        channels = (*file.channels, forward) if terms.forward_url else file.channels
        environ = {**terms.environ, "FORWARD_URL": terms.forward_url}
        made = {one.name: KINDS[one.kind](one, self._outbound, environ) for one in channels}
        return file.routes, made


def read(text: str, name: str = "routes.yaml") -> RoutesFile:
    """The routes in a text; `name` stands in front of each problem.

    Raises:
        FileError: with all problems of the file.
    """
    return loaded(text, name, _parsed)


def _parsed(tree: Node) -> Parsed[RoutesFile]:
    file, problems = validated(RoutesFile, tree)
    return file, [*problems, *(_faults(file, tree) if file else ())]


def _faults(file: RoutesFile, tree: Node) -> Iterator[Problem]:
    """What is wrong though every key by itself is right."""
    if file.api_version != "firstmate/v1":
        yield Problem(1, 1, "the file begins with `apiVersion: firstmate/v1`")
    names = [channel.name for channel in file.channels]
    channels, routes = items(tree, "channels"), items(tree, "routes")
    for index, (name, node) in enumerate(zip(names, channels, strict=True)):
        if name in names[:index]:
            yield Problem(*node.mark, f"a second channel `{name}`")
    for route, node in zip(file.routes, routes, strict=True):
        if not route.channels:
            yield Problem(*node.mark, "a route needs `channels` to go to")
        for name, at in zip(route.channels, items(node, "channels"), strict=True):
            if name not in names:
                yield Problem(*at.mark, f"there is no channel `{name}` in this file")
    for node in (*channels, *routes):
        if (written := child(node, "template")) is not None:
            yield from template.problems(written, notice.NAMES)


def _matches(route: Route, facts: Notice) -> bool:
    """Whether every condition that the route has is fulfilled."""
    given: list[tuple[Globs, str | None]] = [(route.events, facts.type)]
    given += [(getattr(route, name), getattr(facts, name)) for name in CONDITIONS]
    given += [((glob,), facts.labels.get(key)) for key, glob in route.labels.items()]
    return all(
        value is not None and any(fnmatchcase(value, glob) for glob in globs)
        for globs, value in given
        if globs
    )


def _letter(notifier: Notifier, told: Event | Message, facts: Notice, pinned: Any) -> str:
    if not notifier.wants_event:
        return facts.model_copy(update={"template": pinned}).model_dump_json()
    return told.body if isinstance(told, Message) else _structured(told)


def _structured(event: Event) -> str:
    """A foreign event as it came, as far as a door keeps it."""
    whole = event.model_dump(exclude_defaults=True) | {"datacontenttype": "application/json"}
    return to_json(whole, inf_nan_mode="null").decode()
