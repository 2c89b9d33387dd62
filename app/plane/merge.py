"""Keptn's merge of two JSON values. Only the rule; who merges what is elsewhere.

It is the real controller's, oddities included: an old number or boolean always stays.
"""

from typing import Any


def merge(old: Any, new: Any) -> Any:
    """The value in which `old` is overlaid with `new`.

    Lists grow at their front. Maps are merged in place and may share parts with `new`, as in Keptn.
    """
    match old:
        case bool() | int() | float():
            return old
        case dict() if isinstance(new, dict):
            for key, value in new.items():
                old[key] = merge(old.get(key), value)
            return old
        case list() if new is None or isinstance(new, list):
            return [*(new or []), *old] or new
        case str():
            return "" if new is None else new
        case _:
            return old if new is None else new
