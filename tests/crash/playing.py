"""Which rounds there are, and playing many at a time; what a round is stands in `matrix.py`."""

import random
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import cycle, product

from tests.closing import Closing
from tests.crash.killing import Kill
from tests.crash.matrix import (
    BEFORE,
    BOUNDARIES,
    IN_CLUSTERS,
    IN_CONTAINERS,
    IN_PROCESSES,
    MODES,
    PLANE,
    SLOWEST,
    Result,
    Round,
    play,
)
from tests.crash.sea import LASTS
from tests.kube.client import KubeHost
from tests.kube.weather import COURSES
from tests.notices.receiver import Reply, receiving
from tests.strict.client import StrictKeptn

AT_ONCE = 8
"""Rounds at a time; most of a round is spent waiting."""

_MODES = (*MODES, PLANE)
_ELSEWHERE = {
    "process": (*IN_CONTAINERS, *IN_CLUSTERS),
    "container": IN_CLUSTERS,
    "kubernetes": (*IN_CONTAINERS, *IN_PROCESSES),
}
"""The boundaries that an engine does not have."""

STRUCK = ((), (Kill("job made"),), (Kill("job running"),), (Kill("exit seen", nth=2),))
"""When services are killed in bad weather, or not at all."""


def every_round() -> list[Round]:
    """Each boundary x mode once over processes, each boundary over containers.

    Transports, children and passings take turns; so do the modes over containers.
    """
    rounds = [Round((Kill("sent", "finished"),), SLOWEST, "sidecar")]
    for row, (boundary, kills) in enumerate(BOUNDARIES.items()):
        for column, mode in enumerate(_MODES):
            turn = row + column
            kill = replace(kills[turn // 2 % len(kills)], children=bool(turn // 4 % 2))
            transport = mode.transports[turn % len(mode.transports)]
            if boundary not in (*IN_CONTAINERS, *IN_CLUSTERS):
                rounds.append(Round((kill,), mode, transport))
        if boundary in IN_CLUSTERS:
            continue
        for turn, (kill, children) in enumerate(product(kills, (False, True))):
            if boundary in IN_CONTAINERS or children == bool((row + turn // 2) % 2):
                mode = _MODES[(3 * row + turn) % len(_MODES)]
                whole = (*BEFORE.get(boundary, ()), replace(kill, children=children))
                rounds.append(Round(whole, mode, mode.transports[0], "container"))
    return rounds + list(_rounds_in_clusters())


def _rounds_in_clusters() -> Iterator[Round]:
    """Each boundary against a clean Keptn and against one mode, each mode once, bad weather."""
    kills = [
        (*BEFORE.get(boundary, ()), kill)
        for boundary, passings in BOUNDARIES.items()
        if boundary not in (*IN_CONTAINERS, *IN_PROCESSES)
        for kill in passings
    ]
    for turn, whole in enumerate(kills):
        for mode in (MODES[0], _MODES[1 + turn % (len(_MODES) - 1)]):
            yield Round(whole, mode, mode.transports[turn % len(mode.transports)], "kubernetes")
    rough = [course for course in COURSES if course not in (*LASTS, "calm")]
    for turn, (course, whole) in enumerate(product(rough, STRUCK)):
        yield Round(whole, MODES[0], ("sidecar", "api")[turn % 2], "kubernetes", course)


def any_rounds(number: int, seed: int) -> Iterator[Round]:
    """So many rounds by chance, the same for the same seed; in some, recovery is killed too.

    One more has the API of its cluster away for half a minute.
    """
    chance = random.Random(seed)
    yield Round((Kill("job running"),), MODES[0], "sidecar", "kubernetes", "outage of 30 s")
    for _ in range(number):
        mode, engine = chance.choice(_MODES), chance.choice(tuple(_ELSEWHERE))
        often = chance.choice((1, 1, 1, 2, 3))
        kills = tuple(_any_kill(chance, engine) for _ in range(often))
        rough = [course for course in COURSES if course not in LASTS]
        weather = chance.choice(rough) if engine == "kubernetes" else ""
        yield Round(kills, mode, chance.choice(mode.transports), engine, weather)


def _any_kill(chance: random.Random, engine: str) -> Kill:
    here = [BOUNDARIES[one] for one in BOUNDARIES if one not in _ELSEWHERE[engine]]
    kill = chance.choice(chance.choice(here))
    return replace(kill, children=engine != "kubernetes" and chance.random() < 0.5)


class Stage(Closing):
    """Plays rounds in parallel, each against a strict Keptn that knows of no other round."""

    def __init__(self, pool: ThreadPoolExecutor, channel: str, host: KubeHost) -> None:
        self._pool = pool
        self._idle: list[StrictKeptn] = []
        self._channel = channel
        self._host = host

    def play(self, played: Round) -> Future[Result]:
        """Play a round when there is room."""
        return self._pool.submit(self._play, played)

    def _play(self, played: Round) -> Result:
        # A service compares its ledger with all that is open at its Keptn.
        own = self._idle.pop() if self._idle else StrictKeptn()
        try:
            own.reset()
            return play(played, own, self._channel, self._host)
        finally:
            self._idle.append(own)

    def close(self) -> None:
        """What has not begun is not played."""
        self._pool.shutdown(cancel_futures=True)
        for one in self._idle:
            one.close()


@contextmanager
def stage() -> Iterator[Stage]:
    """A stage with a channel that fails half of the time; not begun at its close, not played."""
    replies = cycle((Reply(), Reply(500, takes=False), Reply(0, takes=False), Reply()))
    with receiving() as channel, KubeHost() as host, ThreadPoolExecutor(AT_ONCE) as pool:
        channel.choose = lambda: next(replies)
        with Stage(pool, channel.url, host) as opened:
            yield opened
