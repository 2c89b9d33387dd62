"""Kubernetes' quantities, such as 500m and 128Mi, as exact numbers; what they measure is open."""

import re
from decimal import Decimal

_FORM = re.compile(
    r"(\d{1,18}\.?\d{0,9}|\.\d{1,9})([eE][+-]?\d{1,2}|[numkMGTPE]|[KMGTPE]i)?", re.ASCII
)
_EXPONENTS = dict(zip("numkMGTPE", (-9, -6, -3, 3, 6, 9, 12, 15, 18), strict=True))


def quantity(text: str) -> Decimal:
    """The number that a quantity stands for.

    Raises:
        ValueError: it is none; with what is one.
    """
    if not (found := _FORM.fullmatch(text)):
        raise ValueError(f"{text!r} is no quantity: write 500m, 2 or 128Mi")
    number, suffix = Decimal(found[1]), found[2] or ""
    if suffix.endswith("i"):
        return number * Decimal(1024) ** ("KMGTPE".index(suffix[0]) + 1)
    exponent = int(suffix[1:]) if suffix[1:] else _EXPONENTS.get(suffix, 0)
    return number * Decimal(10) ** exponent
