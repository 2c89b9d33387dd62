"""JSON documents with `{{ name }}` in their texts: always valid JSON, whatever an event holds.

What the names stand for is the notice's business; there are no conditions, loops or code.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from app.document.scalars import Scalar
from app.document.tree import Node, Problem

_SLOT = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
Value = str | int


def filled(template: Any, values: Mapping[str, Value]) -> Any:
    """The document with its slots filled; what has nothing but empty slots is left out.

    So an optional link is a list's entry or an object's key that is not there without one. A text
    that is one slot and no more becomes the value itself, a number too.
    """
    return _filled(template, values)[0]


def _filled(node: Any, values: Mapping[str, Value]) -> tuple[Any, bool | None]:
    """What becomes of it, and whether a slot in it had a value; None: it has no slots."""
    match node:
        case str():
            return _text(node, values)
        case dict():
            parts = {key: _filled(one, values) for key, one in node.items()}
            kept = {key: value for key, (value, heard) in parts.items() if heard is not False}
            return kept, _any(heard for _, heard in parts.values())
        case list():
            items = [_filled(one, values) for one in node]
            return [one for one, heard in items if heard is not False], _any(h for _, h in items)
    return node, None


def _text(text: str, values: Mapping[str, Value]) -> tuple[Value, bool | None]:
    names = [name.strip() for name in _SLOT.findall(text)]
    heard = any(values[name] != "" for name in names) if names else None
    if _SLOT.fullmatch(text) and len(names) == 1:
        return values[names[0]], heard
    return _SLOT.sub(lambda slot: str(values[slot[1].strip()]), text), heard


def _any(verdicts: Iterable[bool | None]) -> bool | None:
    known = [verdict for verdict in verdicts if verdict is not None]
    return any(known) if known else None


def plain(node: Node | Any) -> Any:
    """A tree of a file as JSON values."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, dict):
        return {key: plain(one) for key, one in node.items()}
    return [plain(one) for one in node] if isinstance(node, list) else node


def problems(node: Node, known: Collection[str]) -> Iterator[Problem]:
    """The slots of a file's template that have no meaning, each with its place."""
    if isinstance(node, Scalar):
        for name in map(str.strip, _SLOT.findall(node.text)):
            if name not in known:
                what = f"`{name}` is not known in a template; there are {', '.join(known)}"
                yield Problem(*node.mark, what)
        return
    for one in node.values() if isinstance(node, dict) else node:
        yield from problems(one, known)
