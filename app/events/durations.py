"""How long, as Go and so Keptn writes it: `90s`, `1h30m`. Moments in time stand elsewhere."""

import re

_AMOUNT = r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)"
_DURATION = re.compile(rf"[+-]?({_AMOUNT})+|[+-]?0", re.ASCII)
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}


def seconds(text: str) -> float | None:
    """A duration in seconds; None when the text is none."""
    if not _DURATION.fullmatch(text):
        return None
    total = sum(float(amount) * _UNITS[unit] for amount, unit in re.findall(_AMOUNT, text))
    return -total if text.startswith("-") else total
