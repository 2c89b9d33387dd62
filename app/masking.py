"""What must not leave this machine: the operator's patterns, and the one way to apply them.

Texts are masked before anything is built of them, so no JSON is ever broken by it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import re2

from app.document.watched import content
from app.errors import Permanent
from app.events import Event, Outcome

MASK = "***"


@dataclass(frozen=True, slots=True)
class Masks:
    """Patterns in RE2's syntax, each found within a line and in linear time."""

    patterns: tuple[str, ...] = ()

    def text(self, text: str) -> str:
        """The text with `MASK` in the place of each match."""
        if self.patterns:  # what is no Unicode at all cannot be searched, and leaves as "?"
            text = text.encode(errors="replace").decode()
        for pattern in self.patterns:
            text = re2.sub(pattern, MASK, text)
        return text

    def outcome(self, outcome: Outcome) -> Outcome:
        """The outcome with all its texts masked."""
        message, data = self.text(outcome.message), self._value(outcome.data)
        return replace(outcome, message=message, data=data)

    def event(self, event: Event) -> Event:
        """The event with all texts of its data masked."""
        if not self.patterns:
            return event
        return event.model_copy(update={"data": self._value(event.data)})

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(key): self._value(one) for key, one in value.items()}
        return [self._value(one) for one in value] if isinstance(value, list) else value


def read(path: Path | None) -> Masks:
    """The patterns of a file, one a line; empty lines and lines that begin with `#` are none.

    Raises:
        Permanent: naming the file and the line that is no pattern, or would match everywhere.
    """
    if path is None:
        return Masks()
    lines = content("MASK_PATTERNS_FILE", path).splitlines()
    used = {number: line for number, line in enumerate(lines, 1) if line and line[0] != "#"}
    for number, pattern in used.items():
        if fault := _fault(pattern):
            remedy = "write one RE2 pattern a line"
            raise Permanent(f"MASK_PATTERNS_FILE {path}:{number}: {fault}; {remedy}")
    return Masks(tuple(used.values()))


def _fault(pattern: str) -> str:
    options = re2.Options()
    options.log_errors = False
    try:
        found = re2.search(pattern, "", options)
    except re2.error as error:
        return f"no regular expression ({error.args[0].decode(errors='replace')})"
    return "it matches the empty text, and so everywhere" if found else ""
