"""JSON documents with `{{ name }}` in their texts: always valid JSON, whatever an event holds.

What the names stand for is the notice's business; there are no conditions, loops or code.
"""

import re
from collections.abc import Collection, Iterator, Mapping
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
    match template:
        case str():
            names = _names(template)
            if len(names) == 1 and _SLOT.fullmatch(template):
                return values[names[0]]
            return _SLOT.sub(lambda slot: str(values[slot[1].strip()]), template)
        case dict():
            parts = template.items()
            return {key: filled(one, values) for key, one in parts if _says(one, values)}
        case list():
            return [filled(one, values) for one in template if _says(one, values)]
    return template


def _says(template: Any, values: Mapping[str, Value]) -> bool:
    """Whether a slot below has a value, or there is none at all."""
    texts = (leaf for leaf in _leaves(template) if isinstance(leaf, str))
    names = [name for text in texts for name in _names(text)]
    return not names or any(values[name] != "" for name in names)


def _names(text: str) -> list[str]:
    return [name.strip() for name in _SLOT.findall(text)]


def _leaves(node: Any) -> Iterator[Any]:
    if isinstance(node, dict | list):
        for one in node.values() if isinstance(node, dict) else node:
            yield from _leaves(one)
    else:
        yield node


def problems(node: Node, known: Collection[str]) -> Iterator[Problem]:
    """The slots of a file's template that have no meaning, each with its place."""
    scalars: Iterator[Scalar] = _leaves(node)
    for scalar in scalars:
        for name in _names(scalar.text):
            if name not in known:
                what = f"`{name}` is not known in a template; there are {', '.join(known)}"
                yield Problem(*scalar.mark, what)
