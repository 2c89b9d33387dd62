"""Which rounds there are, and playing many at a time; what a round is stands in `matrix.py`."""

import random
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

from tests.crash.killing import Kill
from tests.crash.matrix import BOUNDARIES, MODES, PLANE, SLOWEST, Result, Round, play
from tests.strict.client import StrictKeptn

AT_ONCE = 8
"""Rounds at a time; most of a round is spent waiting."""

_MODES = (*MODES, PLANE)


def every_round() -> list[Round]:
    """Each boundary x mode once; transports, children and passings take turns."""
    rounds = [Round((Kill("sent", "finished"),), SLOWEST, "sidecar")]
    for row, kills in enumerate(BOUNDARIES.values()):
        for column, mode in enumerate(_MODES):
            turn = row + column
            kill = replace(kills[turn // 2 % len(kills)], children=bool(turn // 4 % 2))
            rounds.append(Round((kill,), mode, mode.transports[turn % len(mode.transports)]))
    return rounds


def any_rounds(number: int, seed: int) -> Iterator[Round]:
    """So many rounds by chance, the same for the same seed; in some, recovery is killed too."""
    chance = random.Random(seed)
    for _ in range(number):
        mode = chance.choice(_MODES)
        often = chance.choice((1, 1, 1, 2, 3))
        kills = tuple(_any_kill(chance) for _ in range(often))
        yield Round(kills, mode, chance.choice(mode.transports))


def _any_kill(chance: random.Random) -> Kill:
    kill = chance.choice(chance.choice(list(BOUNDARIES.values())))
    return replace(kill, children=chance.random() < 0.5)


class Stage:
    """Plays rounds in parallel, against a strict Keptn that they share wherever they can."""

    def __init__(self, shared: StrictKeptn, pool: ThreadPoolExecutor) -> None:
        self._shared = shared
        self._pool = pool

    def play(self, played: Round) -> Future[Result]:
        """Play a round when there is room."""
        return self._pool.submit(self._play, played)

    def _play(self, played: Round) -> Result:
        if not played.mode.spoils_others:
            return play(played, self._shared)
        with StrictKeptn() as own:
            return play(played, own)


@contextmanager
def stage() -> Iterator[Stage]:
    """A stage; what was not begun when it closes is not played."""
    with StrictKeptn() as shared, ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            yield Stage(shared, pool)
        finally:
            pool.shutdown(cancel_futures=True)
