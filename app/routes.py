"""routes.yaml: which events go to which channels; read when it changes, matched without waiting.

How a notice looks and how it travels is decided below.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

from pydantic_core import to_json

from app.document.scalars import Mark
from app.document.tree import Problem, compose
from app.document.typed import FileError, validated
from app.errors import Permanent
from app.events import parse
from app.events.build import Message
from app.events.parse import Event
from app.notifiers import KINDS, notice, template, webhook
from app.notifiers.channel import Address, Channel, Globs, Notifier, Route, RoutesFile
from app.notifiers.notice import Notice
from app.outbound import Outbound

FORWARD = "cloudevent"
"""The channel of FORWARD_URL, which gets what Keptn is sent, whatever the file says."""

CONDITIONS = ("project", "stage", "service", "result", "status")
_LOG = logging.getLogger(__name__)


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
        self._terms = terms
        self._outbound = outbound
        self._stamp = self._seen()
        self._now = self._load()  # replaced as a whole, for `announce` runs in another thread

    @property
    def notifiers(self) -> Mapping[str, Notifier]:
        """The channels by name; another object after each change."""
        return self._now[1]

    def refreshed(self) -> Mapping[str, Notifier]:
        """The channels after a look at the file; a broken one is told, and not used."""
        if self._stamp != (stamp := self._seen()):
            self._stamp = stamp
            try:
                self._now = self._load()
            except Permanent as error:
                _LOG.error("the routes stay as they were: %s", error)
        return self.notifiers

    def announce(self, told: Event | Message) -> list[tuple[str, str]]:
        """The letters, as (channel, body), that an event asks for; a `Message` is one of ours.

        Called from any thread, perhaps twice for one event.
        """
        (routes, notifiers), pinned = self._now, dict[str, Any]()
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

    def _seen(self) -> tuple[int, ...]:
        """What tells one version of the file from another."""
        try:
            found = self._terms.file.stat() if self._terms.file else None
        except OSError:
            return (0,)
        return (found.st_mtime_ns, found.st_size, found.st_ino) if found else ()

    def _load(self) -> tuple[tuple[Route, ...], dict[str, Notifier]]:
        terms = self._terms
        file = read(_text(terms.file), str(terms.file)) if terms.file else RoutesFile()
        channels, environ = list(file.channels), dict(terms.environ)
        if terms.forward_url:
            place = Address(env="FORWARD_URL")
            environ[place.env] = terms.forward_url
            forward = Channel.model_construct(name=FORWARD, kind="cloudevent", url_from=place)
            channels.append(forward)
        made = {one.name: KINDS[one.kind](one, self._outbound, environ) for one in channels}
        return file.routes, made


def read(text: str, name: str = "routes.yaml") -> RoutesFile:
    """The routes in a text; `name` stands in front of each problem.

    Raises:
        FileError: with all problems of the file.
    """
    tree, problems = compose(text)
    file, wrong = (None, []) if tree is None else validated(RoutesFile, tree)
    problems += [*wrong, *(_faults(file, tree) if file else ())]
    if file is None or problems:
        raise FileError(name, problems)
    return file


def _faults(file: RoutesFile, tree: Any) -> Iterator[Problem]:
    """What is wrong though every key by itself is right."""
    if file.api_version != "firstmate/v1":
        yield Problem(1, 1, "the file begins with `apiVersion: firstmate/v1`")
    names = [channel.name for channel in file.channels]
    for index, name in enumerate(names):
        if name in names[:index]:
            yield _fault(tree, f"a second channel `{name}`", "channels", index)
        yield from _unknown_names(tree, file.channels[index], "channels", index)
    for index, route in enumerate(file.routes):
        if not route.channels:
            yield _fault(tree, "a route needs `channels` to go to", "routes", index)
        for number, name in enumerate(route.channels):
            if name not in names:
                what = f"there is no channel `{name}` in this file"
                yield _fault(tree, what, "routes", index, "channels", number)
        yield from _unknown_names(tree, route, "routes", index)


def _unknown_names(tree: Any, part: Channel | Route, key: str, index: int) -> Iterator[Problem]:
    if part.template is not None:
        yield from template.problems(tree[key][index]["template"], notice.NAMES)


def _fault(tree: Any, what: str, *place: str | int) -> Problem:
    mark: Mark = reduce(getitem, place, tree).mark
    return Problem(*mark, what)


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


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Permanent(f"ROUTES_FILE {path} cannot be read: {type(error).__name__}") from None
