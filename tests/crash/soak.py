"""The crash matrix for long: `python -m tests.crash.soak --rounds N --seed S`, or `make soak`.

It draws rounds by chance and adds them up; what a round is stands in `matrix.py`.
"""

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import as_completed

from tests.crash.matrix import BOUNDARIES, Result
from tests.crash.playing import any_rounds, stage

HARM = ("lost", "doubled", "launched twice", "orphans", "leaks")
COLUMNS = ("rounds", "kills", *HARM, "doubtful", "interrupted")
HARMFUL = slice(2, 2 + len(HARM))
ALL = ("all", "")

Row = tuple[str, str]


def main() -> int:
    """Play, print the table, and return 1 if anything was lost or done twice."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.soak", description=__doc__)
    parser.add_argument("--rounds", type=int, default=300, help="how many services to crash")
    parser.add_argument("--seed", type=int, default=1, help="the same seed draws the same rounds")
    given = parser.parse_args()
    begun = time.monotonic()
    with stage() as open_stage:
        playing = [open_stage.play(one) for one in any_rounds(given.rounds, given.seed)]
        results = [_heard(future.result()) for future in as_completed(playing)]
    print(table(add_up(results, by_boundary), "boundary", "mode"))
    sums = add_up(results, by_transport)
    print(table(sums, "transport", "weather"))
    print(f"seed {given.seed}, {time.monotonic() - begun:.0f} s")
    return int(any(sums[ALL][HARMFUL]))


def add_up(
    results: Iterable[Result], row_of: Callable[[Result], Row]
) -> dict[Row, tuple[int, ...]]:
    """The columns' sums for each row, and for all."""
    sums: dict[Row, tuple[int, ...]] = defaultdict(lambda: (0,) * len(COLUMNS))
    for one in results:
        harm = (one.lost, one.doubled, one.launched_twice, one.orphans, one.leaks)
        figures = (1, one.kills, *harm, bool(one.doubtful), int(one.interrupted))
        for row in (row_of(one), ALL):
            sums[row] = tuple(old + new for old, new in zip(sums[row], figures, strict=True))
    return sums


def by_boundary(result: Result) -> Row:
    """The boundary of the first kill and the mode: `plane` there, in a cluster its weather."""
    of = result.round
    mode = "plane" if of.transport == "plane" else of.mode.name
    return of.kills[0].at, of.weather or mode


def by_transport(result: Result) -> Row:
    """How the service reached Keptn, and whether there was an outage."""
    of = result.round
    return of.transport, "outage" if of.mode.outage or "outage" in of.weather else ""


def table(sums: dict[Row, tuple[int, ...]], *heads: str) -> str:
    """The sums as a Markdown table, boundaries in the order of a run."""
    order = [*BOUNDARIES, "all"]
    rows = sorted(sums, key=lambda row: (order.index(row[0]) if row[0] in order else -1, row))
    lines = [(*heads, *COLUMNS), ("---",) * (2 + len(COLUMNS))]
    lines += [(*row, *map(str, sums[row])) for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _heard(result: Result) -> Result:
    """The result, told at once if it is a bad one."""
    if not result.survived:
        print(f"{result.round}: {result}", result.note, sep="\n", file=sys.stderr)
    return result


if __name__ == "__main__":
    sys.exit(main())
