"""What was measured as values, and as the one table that people read; nothing is measured here."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

HEADINGS = ("measured", "", "beside", "", "ratio", "aim", "")


@dataclass(frozen=True)
class Aim:
    """A border that a figure, or its ratio to the baseline, should keep."""

    limit: float
    at_least: bool = False
    of_ratio: bool = False

    def __str__(self) -> str:
        sign = ">=" if self.at_least else "<="
        return f"{sign} {self.limit:g}{' x' if self.of_ratio else ''}"

    def is_met(self, figure: "Figure") -> bool:
        """Whether the figure keeps the border."""
        value = figure.ratio if self.of_ratio else figure.value
        return value >= self.limit if self.at_least else value <= self.limit


@dataclass(frozen=True)
class Figure:
    """One thing measured, and what the same run measured to compare it with."""

    name: str
    value: float
    unit: str
    beside: str = ""
    baseline: float = 0.0
    aim: Aim | None = None
    note: str = ""

    @property
    def ratio(self) -> float:
        """How often the baseline goes into the value; 0 without one."""
        return self.value / self.baseline if self.baseline else 0.0

    @property
    def verdict(self) -> str:
        """Met or missed, and the note."""
        word = ("met" if self.aim.is_met(self) else "MISSED") if self.aim else ""
        return ", ".join(part for part in (word, self.note) if part)

    def row(self) -> tuple[str, ...]:
        """The cells of the table."""
        baseline = _amount(self.baseline, self.unit) if self.beside else ""
        ratio = f"{self.ratio:.2f}" if self.beside else ""
        aim = str(self.aim) if self.aim else ""
        value = _amount(self.value, self.unit)
        return self.name, value, self.beside, baseline, ratio, aim, self.verdict

    def as_json(self) -> dict[str, Any]:
        """The same for a machine."""
        met = self.aim.is_met(self) if self.aim else None
        return {**asdict(self), "ratio": self.ratio, "met": met}


def render(figures: Iterable[Figure]) -> str:
    """A plain table."""
    rows = [HEADINGS, *(figure.row() for figure in figures)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that so many percent do not exceed; NaN when there is none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if values else _NONE


def _amount(value: float, unit: str) -> str:
    digits = 0 if value >= 100 else 2 if value < 10 else 1
    return f"{value:,.{digits}f} {unit}"


_NONE = float("nan")
