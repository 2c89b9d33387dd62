"""YAML text to a tree that remembers its lines: mappings, lists and scalars of the first document.

No key or type of any file is known here; a scalar gets its meaning where its type is known.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Union

import yaml

from app.document.scalars import Mark, Scalar, shown

MAX_DEPTH = 50
MAX_NODES = 100_000
"""Every alias counted in full: ten lines of aliases can ask for more than any memory holds."""


_NO_MERGE = "`<<` takes a mapping or a list of mappings"


class Mapping(dict[str, "Node"]):
    """A mapping with its own place and those of its keys."""

    def __init__(self, mark: Mark) -> None:
        super().__init__()
        self.mark = mark
        self.marks: dict[str, Mark] = {}

    def __str__(self) -> str:
        return "a mapping"


class Sequence(list["Node"]):
    """A list with its place."""

    def __init__(self, mark: Mark, items: Iterable["Node"]) -> None:
        super().__init__(items)
        self.mark = mark

    def __str__(self) -> str:
        return "a list"


Node = Union[Mapping, Sequence, Scalar]  # noqa: UP007 - a forward reference takes no `|`


class Problem(NamedTuple):
    """What is wrong, and where: line and column count from 1."""

    line: int
    column: int
    text: str


class _Unreadable(Exception):
    """There is no tree; the argument is the `Problem`."""


def compose(text: str) -> tuple[Node | None, list[Problem]]:
    """The first document's tree, and what is wrong with its keys; None if the text is no YAML."""
    if odd := yaml.reader.Reader.NON_PRINTABLE.search(text):
        before = text[: odd.start()].split("\n")
        place = Mark(len(before), len(before[-1]) + 1)
        return None, [Problem(*place, f"no valid YAML: the character {odd[0]!a} is not allowed")]
    composer = _Composer(text)
    try:
        return composer.document(), composer.problems
    except _Unreadable as error:
        return None, [error.args[0]]
    except yaml.MarkedYAMLError as error:
        return None, [Problem(*_mark(error.problem_mark), f"no valid YAML: {error.problem}")]


def child(node: Node, key: str) -> Node | None:
    """What stands below a key; None where this is no mapping, or has no such key."""
    return node.get(key) if isinstance(node, Mapping) else None


def items(node: Node, key: str) -> list[Node]:
    """What is listed below a key of a mapping; nothing where there is no such list."""
    found = child(node, key)
    return found if isinstance(found, Sequence) else []


def place_of(node: Node, *where: str | int) -> Mark:
    """The place of what stands there below a node, or of the nearest thing around it that does."""
    found: Any = node
    for step in where:
        try:
            found = found[int(step) if isinstance(found, list) else step]
        except (LookupError, TypeError, ValueError):
            break
    return Mark(*found.mark)


class _Composer:
    """Builds the tree from the parser's events.

    PyYAML's own composer overflows the C stack on deep nesting, and refuses an anchor set twice.
    """

    def __init__(self, text: str) -> None:
        self.problems: list[Problem] = []
        self._events: Iterator[Any] = yaml.parse(text, Loader=yaml.CBaseLoader)
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._size = 0

    def document(self) -> Node:
        next(self._events)
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return Scalar("", Mark(1, 1))
        return self._node(next(self._events), 0)

    def _node(self, event: Any, depth: int) -> Node:
        mark, before = _mark(event.start_mark), self._size
        if before > MAX_NODES or depth > MAX_DEPTH:
            raise _Unreadable(Problem(*mark, "nested too deeply, or repeated too often by aliases"))
        self._size += 1
        node = self._built(event, mark, depth + 1)
        if event.anchor:
            self._anchors[event.anchor] = node, self._size - before
        return node

    def _built(self, event: Any, mark: Mark, depth: int) -> Node:
        match event:
            case yaml.MappingStartEvent():
                return self._mapping(Mapping(mark), depth)
            case yaml.SequenceStartEvent():
                return Sequence(mark, (self._node(item, depth) for item in self._items()))
            case yaml.ScalarEvent():
                tag = (event.tag or "").removeprefix("tag:yaml.org,2002:")
                if tag == "binary":
                    raise _Unreadable(Problem(*mark, "!!binary is not read; write the text itself"))
                plain = tag not in ("!", "str") if tag else event.implicit[0]
                return Scalar(event.value, mark, plain)
        if event.anchor not in self._anchors:
            raise _Unreadable(Problem(*mark, f"no &{event.anchor} stands before *{event.anchor}"))
        node, size = self._anchors[event.anchor]
        self._size += size
        return node

    def _items(self) -> Iterator[Any]:
        ends = (yaml.SequenceEndEvent, yaml.MappingEndEvent)
        while not isinstance(event := next(self._events), ends):
            yield event

    def _mapping(self, mapping: Mapping, depth: int) -> Mapping:
        written: set[str] = set()
        for event in self._items():
            key, value = self._node(event, depth), self._node(next(self._events), depth)
            if not isinstance(key, Scalar):
                self.problems.append(Problem(*key.mark, "a key must be a text"))
            elif key.plain and key.text == "<<":
                # Of several sources the first wins; of a key and a merged one, the later.
                for source in reversed(value) if isinstance(value, Sequence) else [value]:
                    if not isinstance(source, Mapping):
                        raise _Unreadable(Problem(*source.mark, _NO_MERGE))
                    mapping.update(source)
                    mapping.marks.update(source.marks)
            else:
                name = key.as_text
                if name in written:
                    what = f"key `{shown(name)}` is written twice"
                    self.problems.append(Problem(*key.mark, what))
                written.add(name)
                mapping[name] = value
                mapping.marks.setdefault(name, key.mark)
        return mapping


def _mark(mark: Any) -> Mark:
    return Mark(mark.line + 1, mark.column + 1)
