"""How a value of an event is written where only text goes: plain, as JSON, as YAML.

The texts are those of job-executor (Go's fmt and encoding/json, yaml.v2), except that whole numbers
stay integers, lists are JSON, and null is empty. Nothing here knows where a value came from.
"""

import re
from decimal import Decimal
from typing import Any

import yaml

from app.document.scalars import resolve

_STR = "tag:yaml.org,2002:str"
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_ESCAPED = re.compile('[\x00-\x1f"\\\\<>&\u2028\u2029]')
_SURROGATE = re.compile("[\ud800-\udfff]")
# Dates and base 60 are texts to yaml.v2 too, but it quotes them for other readers' sake.
_OTHER_TYPES = re.compile(
    r"\d{4}-\d{1,2}-\d{1,2}([Tt ]\d{1,2}:.*)?|[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"
)
_LARGEST_WHOLE = 1e21


def as_plain(value: Any) -> str:
    """The value as a text: strings as they are, maps and lists as JSON, null as nothing."""
    if value is None:
        return ""
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    return _number(value, -4, 6) if isinstance(value, float) else as_json(value)


def as_json(value: Any) -> str:
    """Compact JSON with sorted keys and Go's escapes for HTML."""
    match value:
        case dict():
            pairs = (f"{as_json(key)}:{as_json(value[key])}" for key in sorted(value))
            return f"{{{','.join(pairs)}}}"
        case list():
            return f"[{','.join(map(as_json, value))}]"
        case str():
            return f'"{_ESCAPED.sub(_escape, as_plain(value))}"'
        case float():
            return re.sub(r"e([-+])0", r"e\1", _number(value, -6, 21))
        case _:
            return "null" if value is None else str(value).lower()


def as_yaml(value: Any) -> str:
    """Block YAML as yaml.v2 writes it, with a final newline."""
    text = yaml.serialize(_node(value), Dumper=yaml.CBaseDumper, allow_unicode=True)
    # PyYAML ends a lone scalar like this, yaml.v2 does not.
    return re.sub(r"\n\.\.\.\n$", "\n", text)


def _escape(found: re.Match[str]) -> str:
    return _ESCAPES.get(found[0], f"\\u{ord(found[0]):04x}")


def _number(value: float, low: int, high: int) -> str:
    """Shortest digits; with an exponent where the number's own is outside of low..high."""
    if value.is_integer() and abs(value) < _LARGEST_WHOLE:
        return f"{value:.0f}"
    digits = Decimal(repr(value))
    if low <= digits.adjusted() < high:
        return f"{digits:f}"
    return re.sub(r"e([-+])(\d)$", r"e\g<1>0\2", f"{digits.normalize():e}")


def _node(value: Any) -> yaml.Node:
    if isinstance(value, dict):
        pairs = [(_node(key), _node(value[key])) for key in sorted(value, key=_natural)]
        return yaml.MappingNode("tag:yaml.org,2002:map", pairs, flow_style=not value)
    if isinstance(value, list):
        items = [_node(item) for item in value]
        return yaml.SequenceNode("tag:yaml.org,2002:seq", items, flow_style=not value)
    text = "null" if value is None else as_plain(value)
    return yaml.ScalarNode(_STR, text, style=_style(text) if isinstance(value, str) else None)


def _style(text: str) -> str | None:
    if _OTHER_TYPES.fullmatch(text) or not isinstance(resolve(text), str):
        return '"'
    return "|" if "\n" in text else None


def _natural(key: str) -> list[tuple[bool, int, int, str]]:
    """yaml.v2's order of keys: numbers by value, letters behind everything else."""
    # Python refuses to make an int of thousands of digits.
    parts = re.findall(r"\d{1,18}|\D", key)
    numbers = [int(part) if part.isdecimal() else -1 for part in parts]
    return [(p.isalpha(), number, len(p), p) for p, number in zip(parts, numbers, strict=True)]
