"""What a YAML scalar means, by the rules of yaml.v2, the reader that job-executor uses.

Nothing here knows which keys a file has.
"""

import re
from dataclasses import dataclass
from typing import NamedTuple

_BOOLEANS = {
    spelling: word in ("y", "yes", "true", "on")
    for word in ("y", "yes", "true", "on", "n", "no", "false", "off")
    for spelling in (word, word.capitalize(), word.upper())
}
_OCTAL = re.compile(r"[-+]?0[0-7]+")
_INTEGER = re.compile(r"[-+]?(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO][0-7]+|0|[1-9][0-9]{0,18})")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NO_NUMBER = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_KINDS = {bool: "the boolean", int: "the number", float: "the number", str: "the text"}


class Mark(NamedTuple):
    """A place in a file; both count from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Scalar:
    """One scalar of a file; `plain` says that its spelling may make it more than a text."""

    text: str
    mark: Mark
    plain: bool = True

    @property
    def value(self) -> bool | int | float | str | None:
        """What the scalar means where no type is asked for."""
        return resolve(self.text) if self.plain else self.text

    @property
    def as_text(self) -> str:
        """What the scalar means where a text is asked for: its spelling, and nothing for null."""
        return "" if self.value is None else self.text

    def __str__(self) -> str:
        if self.value is None:
            return "null"
        return f'{_KINDS[type(self.value)]} "{shown(self.text)}"'


def shown(text: str, most: int = 40) -> str:
    """The text's beginning for one line of a message, where it can do nothing to a terminal."""
    return "".join(each if each.isprintable() else " " for each in text[:most])


def resolve(text: str) -> bool | int | float | str | None:
    """The value of a plain scalar as yaml.v2 reads it: 0777 is 511, 1_ is 1, 08 is 8.0."""
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _NO_NUMBER.fullmatch(text):
        return float(text.replace(".", ""))
    digits = "" if text[0] == "_" else text.replace("_", "")
    if _OCTAL.fullmatch(digits):
        return int(digits, 8)
    if _INTEGER.fullmatch(digits):
        return int(digits, 0)
    return float(digits) if _FLOAT.fullmatch(digits) else text
