"""Event names as regular expressions of RE2, and which of them no type can ever match.

Which names and entries an event is for is decided in match.py.
"""

import re
from functools import lru_cache
from typing import Any

import re2

from app.document.scalars import shown
from app.events.grammar import of_sequence, of_task

_REMEDY = r"names are regular expressions: write .*\.triggered$, not *.triggered"
_USUAL = ("approval", "deployment", "evaluation", "get-sli", "release", "rollback", "test")
_OF_TASKS = ("triggered", "started", "finished", "status.changed")
_GAP = "\0"
# One character, escaped, of a class, or as it is; then how often. Or an anchor at its end.
_TOKEN = re.compile(
    r"""(?: \\(_|[^\w^$]) | \[(\.)\] | ([^][\\(){}|*+?^$]) ) ([*+?]\??)?
      | (\A\^ | \$\Z) (?![*+?])""",
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
    """Whether the pattern is found in any type that starts jobs, as far as Keptn knows such types.

    They are of a task's triggered event, or tell what others did to a task or a sequence.

    A single `.` is taken for the dot that it is meant for, except in the names of usual tasks.
    Groups, classes, `|` and counts are not looked into: such a pattern gets the benefit of doubt.
    """
    tokens = list(_TOKEN.finditer(pattern))
    if "".join(token[0] for token in tokens) != pattern:
        return True
    texts = "".join(_GAP if token[4] else token[token.lastindex or 0] for token in tokens)
    usual = (of_task(task, "triggered") for task in _USUAL)
    return all(map(_occurs, texts.split(_GAP))) or any(map(compiled(pattern).search, usual))


def _occurs(text: str) -> bool:
    """Whether a type has this text, anchors included; the names in it can only be in the text."""
    names = [*filter(None, ("x", *re.split(r"[.^$]", text)))]
    types = [of_task(task, kind) for task in names for kind in _OF_TASKS]
    if "finished" in text:  # else a typing error in a task's kind would be a sequence's name
        types += [of_sequence(one, two, "finished") for one in names for two in names]
    return any(text in f"^{event_type}$" for event_type in types)
