"""JSONPath with the answers of the library that job-executor uses, PaesslerAG/jsonpath.

A plain path (single keys and indexes) is walked here and gives one value or an error; any other is
left to python-jsonpath and gives a list. Nothing here knows an event.
"""

import json
import re
from functools import lru_cache, reduce
from itertools import islice
from typing import Any

from jsonpath import JSONPath, JSONPathEnvironment, JSONPathError

from app.errors import Permanent
from app.jobconfig.values import as_plain

MAX_FOUND = 10_000
"""Values that a path gives at most."""

_START = re.compile(r"\s*(?:\$|([^\W\d]\w*))\s*")
_STEP = re.compile(
    r"""(?: \.\s* (?P<name>[^\W\d]\w*)
      | \[\s* (?P<quoted>"(?:[^"\\]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*"|'[^'\\]'|`[^`]*`) \s*\]
      | \[\s* (?P<index>-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?) \s*\]
    )\s*""",
    re.VERBOSE,
)

_LIBRARY = JSONPathEnvironment(strict=True)
# The Go library has no functions, and two of them run regular expressions without a bound.
_LIBRARY.function_extensions.clear()


class PathError(Permanent):
    """The path leads nowhere."""


class BadPath(PathError):
    """The path cannot be read, and so be followed in no document at all."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"parsing error: {path}: {reason}")


def find(path: str, document: Any) -> Any:
    """What the path leads to; without `$` in front, a last key that is missing gives None.

    Raises:
        PathError: with the Go library's text where a plain path leads nowhere.
    """
    start = _START.match(path)
    if start is None:
        raise BadPath(path, "a path starts with $ or a key")
    keys = _keys(path, start.end())
    if start[1] is None:
        return _listed(path, document) if keys is None else reduce(_select, keys, document)
    if keys is None:
        raise BadPath(path, f"only plain keys without $; write $.{path}")
    return _variable([start[1], *keys], document)


@lru_cache(maxsize=1024)
def _keys(path: str, at: int) -> tuple[str | float, ...] | None:
    """The keys and indexes of a plain path from there on; None if it is not plain."""
    keys: list[str | float] = []
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None:
            return None
        keys.append(step["name"] or _literal(step["quoted"] or step["index"]))
        at = step.end()
    return tuple(keys)


def _literal(text: str) -> str | float:
    if text[0] == '"':
        return str(json.loads(text, strict=False))
    return text[1:-1] if text[0] in "'`" else float(text)


def _select(value: Any, key: str | float) -> Any:
    name = as_plain(key)
    if isinstance(value, dict):
        if name in value:
            return value[name]
        raise PathError(f"unknown key {name}")
    if isinstance(value, list) and re.fullmatch(r"-?[0-9.]{1,15}", name):
        if 0 <= (index := int(float(name))) < len(value):
            return value[index]
        raise PathError(f"index {index} out of bounds")
    kind = {str: "a text", bool: "a boolean", list: "a list", type(None): "null"}
    raise PathError(f"cannot select {name} in {kind.get(type(value), 'a number')}")


def _variable(keys: list[str | float], document: Any) -> Any:
    value = document
    for depth, key in enumerate(keys, 1):
        try:
            value = value.get(as_plain(key)) if isinstance(value, dict) else _select(value, key)
        except PathError:
            name = ".".join(map(as_plain, keys[:depth]))
            raise PathError(f"unknown parameter {name}") from None
    return value


def _listed(path: str, document: Any) -> list[Any]:
    # Each `..` visits all that is below each value found so far: two of them take quadratic time.
    if path.count("..") > 1:
        raise BadPath(path, "`..` may stand once")
    try:
        query = _LIBRARY.compile(path)
        found = [match.obj for match in islice(query.finditer(document), MAX_FOUND + 1)]
    except (JSONPathError, RecursionError) as error:
        raise BadPath(path, str(error).splitlines()[0]) from None
    if isinstance(query, JSONPath) and query.singular_query():
        raise BadPath(path, 'odd keys need double quotes, as in ["build-id"]')
    if len(found) > MAX_FOUND:
        raise PathError(f"{path} selects more than {MAX_FOUND} values")
    return found
