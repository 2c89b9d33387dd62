"""Event names as regular expressions of RE2, and which of them no type can ever match.

Which names and entries an event is for is decided in match.py.
"""

import re
from functools import lru_cache
from typing import Any

import re2

from app.document.scalars import shown
from app.events.grammar import of_task

_REMEDY = r"names are regular expressions: write .*\.triggered$, not *.triggered"
_ANY = "\0"
_STARTING = of_task(_ANY, "triggered")
_NAMED = _STARTING.index(_ANY) + 1
_STEPS = (*((at, at + 1, char) for at, char in enumerate(_STARTING)), (_NAMED, _NAMED, _ANY))
"""From where to where in such a type each character leads; a task's name may have many."""

_USUAL = ("approval", "deployment", "evaluation", "get-sli", "release", "rollback", "test")
# One character, literally, escaped, or of a class; then how often. Or an anchor.
_TOKEN = re.compile(
    r"""( \\[\W_dDsSwW] | \[\^[^]\\[]+\] | \[[^]^\\[][^]\\[]*\] | [^][\\(){}*+?|^$] ) ([*+?]?)\??
      | ([$^])(?![*+?{])""",
    re.VERBOSE,
)


@lru_cache(maxsize=1024)
def compiled(pattern: str) -> Any:
    """The pattern of an event name as an RE2 object: Go's syntax, in linear time.

    Raises:
        ValueError: it is no regular expression; with what is meant by one.
    """
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        said = shown(error.args[0].decode(errors="replace"), 200)
        raise ValueError(f"no regular expression ({said}); {_REMEDY}") from None


def can_match(pattern: str) -> bool:
    """Whether the pattern is found in any `sh.keptn.event.<task>.triggered`: only they start jobs.

    A single `.` is taken for the dot that it is meant for, except in the names of usual tasks.
    Groups, `|` and counts are not looked into: such a pattern is given the benefit of the doubt.
    """
    tokens = list(_TOKEN.finditer(pattern))
    if "".join(token[0] for token in tokens) != pattern:
        return True
    usual = (_STARTING.replace(_ANY, task) for task in _USUAL)
    return _found(tokens) or any(map(compiled(pattern).search, usual))


def _found(tokens: list[re.Match[str]]) -> bool:
    """Whether the tokens can stand in `_STARTING`, by the places in it that they lead to."""
    places = set(range(len(_STARTING) + 1))
    for token in tokens:
        atom, repeat, anchor = token.groups(default="")
        if anchor:
            places &= {0 if anchor == "^" else len(_STARTING)}
        else:
            atom = r"\." if token[0] == "." else atom
            after = _after(places, atom)
            while repeat in ("*", "+") and (more := _after(after, atom) - after):
                after |= more
            places = after | places if repeat in ("*", "?") else after
    return bool(places)


def _after(places: set[int], atom: str) -> set[int]:
    """Where one character that the atom stands for leads from these places."""
    return {end for start, end, char in _STEPS if start in places and _fits(atom, char)}


def _fits(atom: str, char: str) -> bool:
    """Whether the atom stands for this character, or for some character of a task's name."""
    return atom not in (r"\.", "[.]") if char == _ANY else bool(compiled(atom).fullmatch(char))
