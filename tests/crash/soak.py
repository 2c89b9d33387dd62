"""The crash matrix for long: `python -m tests.crash.soak --rounds N --seed S`, or `make soak`.

It draws rounds by chance and adds them up; what a round is stands in `matrix.py`.
"""

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import as_completed

from tests.crash.matrix import BOUNDARIES, Result
from tests.crash.playing import any_rounds, stage

HARM = ("lost", "doubled", "launched twice", "orphans", "leaks")
COLUMNS = ("rounds", "kills", *HARM, "doubtful", "interrupted")
HARMFUL = slice(2, 2 + len(HARM))


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
    sums = add_up(results)
    print(table(sums))
    print(f"seed {given.seed}, {time.monotonic() - begun:.0f} s")
    return int(any(sums["all", ""][HARMFUL]))


def add_up(results: Iterable[Result]) -> dict[tuple[str, str], list[int]]:
    """The columns' sums for each boundary and mode, and for all.

    A round counts for the boundary of its first kill; against the plane, for the mode `plane`;
    in a cluster, for its weather.
    """
    sums: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0] * len(COLUMNS))
    for one in results:
        mode = "plane" if one.round.transport == "plane" else one.round.mode.name
        mode = one.round.weather or mode
        harm = (one.lost, one.doubled, one.launched_twice, one.orphans, one.leaks)
        figures = (1, one.kills, *harm, bool(one.doubtful), one.interrupted)
        for row in ((one.round.kills[0].at, mode), ("all", "")):
            sums[row] = [old + new for old, new in zip(sums[row], figures, strict=True)]
    return sums


def table(sums: dict[tuple[str, str], list[int]]) -> str:
    """The sums as a Markdown table, boundaries in the order of a run."""
    order = [*BOUNDARIES, "all"]
    rows = sorted(sums, key=lambda row: (order.index(row[0]), row[1]))
    lines = [("boundary", "mode", *COLUMNS), ("---",) * (2 + len(COLUMNS))]
    lines += [(*row, *map(str, sums[row])) for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _heard(result: Result) -> Result:
    """The result, told at once if it is a bad one."""
    if not result.survived:
        print(f"{result.round}: {result}", result.note, sep="\n", file=sys.stderr)
    return result


if __name__ == "__main__":
    sys.exit(main())
