r"""Wildcard patterns as job-executor's image list has them, and the names that one image goes by.

`*` is any text, `/` included, `?` one character, `[a-z]` and `[!abc]` one of a kind, `{a,b}` a
choice, and `\` takes the next character as it is. What is matched against them stands in rules.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import re2

_TOKEN = re.compile(
    r"""(?P<any>\*+) | (?P<one>\?) | \\(?P<escaped>.?)
      | \[(?P<non>!?+) (?: (?P<low>.)-(?P<high>.) | (?!.-)(?P<list>(?:\\.|[^]\\])+) ) \]
      | (?P<text>.)""",
    re.VERBOSE | re.DOTALL,
)
_IMAGE = re.compile(
    r"(?:(?P<host>localhost|[\w-]+[.:][\w.:-]*|\[[\da-fA-F:]+\](?::\d+)?)/)?"
    r"(?P<path>[a-z\d][a-z\d._/-]*)(?P<tag>:[\w.-]+)?(?P<digest>@[\w+.-]+:[\da-fA-F]+)?",
    re.ASCII,
)
_HUB = ("docker.io", "index.docker.io")


def matches_any(name: str, patterns: Iterable[str]) -> bool:
    """Whether the whole name is what one of the patterns, which are sound, stands for."""
    text = name.encode(errors="replace").decode()
    return any(compiled(pattern).fullmatch(text) for pattern in patterns)


@lru_cache(maxsize=1024)
def compiled(pattern: str) -> Any:
    """The pattern as an RE2 object, which takes linear time on whatever an author writes.

    Raises:
        ValueError: a bracket that begins no range; with the remedy.
    """
    return re2.compile(f"(?s){''.join(_translated(pattern))}")


def image_names(image: str) -> Iterator[str]:
    """All that an image is called: as written, in full, and without what is understood."""
    yield image
    if not (found := _IMAGE.fullmatch(image)):
        return
    host, path, pin = found["host"], found["path"], (found["tag"] or "") + (found["digest"] or "")
    heads = [f"{host}/{path}"]
    if host in (None, *_HUB):
        heads = [f"{_HUB[0]}/{path if '/' in path else f'library/{path}'}"]
        short = re.sub(r"^library/(?=[^/]+$)", "", path)
        again = _IMAGE.fullmatch(short)
        if again and not again["host"]:  # else it is the name of another image
            heads.append(short)
    for head in heads:
        yield from (head + pin, *([] if pin else [f"{head}:latest"]))


def _translated(pattern: str) -> Iterator[str]:
    depth = 0
    for token in _TOKEN.finditer(pattern):
        match token[0]:
            case "{":
                depth += 1
                yield "(?:"
            case "," if depth:
                yield "|"
            case "}" if depth:
                depth -= 1
                yield ")"
            case _:
                yield _expression(token)
    yield ")" * depth


def _expression(token: re.Match[str]) -> str:
    if token["any"] or token["one"]:
        return ".*" if token["any"] else "."
    low, high, listed = token["low"], token["high"], token["list"]
    if token["text"] == "[" or (low and low > high):
        raise ValueError("`[` begins no range: write [abc], [!abc] or [a-z], or \\[ for itself")
    if low or listed:
        chars = re.sub(r"\\(.)", r"\1", listed or "", flags=re.DOTALL)
        inside = f"{re2.escape(low)}-{re2.escape(high)}" if low else re2.escape(chars)
        return f"[{'^' if token['non'] else ''}{inside}]"
    return str(re2.escape(token["escaped"] or token["text"] or ""))
