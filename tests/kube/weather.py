"""What may befall a cluster's API while a service depends on it; each is a course, played once.

What a service makes of it is judged in the tests.
"""

import asyncio
from collections.abc import Awaitable, Callable

from tests.kube.server import Kube


async def _calm(kube: Kube) -> None:
    """Nothing befalls it."""


async def _outage(kube: Kube, seconds: float = 3.0) -> None:
    """Nobody answers for a while, from when the first pod has started."""
    while not kube.jobs.launched:  # noqa: ASYNC110 - the double has no event for it
        await asyncio.sleep(0.02)
    await kube.outage(seconds)


async def _long_outage(kube: Kube) -> None:
    await _outage(kube, 30.0)


async def _dropped(kube: Kube) -> None:
    """No connection lives for more than a moment."""
    while True:
        await asyncio.sleep(0.3)
        kube.drop()


async def _expired(kube: Kube) -> None:
    """Watches break, and cannot go on from where they were."""
    while True:
        await asyncio.sleep(0.3)
        kube.store.compact()
        kube.drop()


async def _throttled(kube: Kube) -> None:
    """Of every two calls, one is one too many."""
    kube.every_second = (429, {"Retry-After": "1"})


async def _failing(kube: Kube) -> None:
    """Of every two calls, one fails."""
    kube.every_second = (500, {})


async def _late(kube: Kube) -> None:
    """Each change is told a second after the one before."""
    kube.late = 1.0


async def _lossy(kube: Kube) -> None:
    """What is ordered is done, and the reply to it lost, the first few times."""
    kube.lost_replies = 3


COURSES: dict[str, Callable[[Kube], Awaitable[None]]] = {
    "calm": _calm,
    "outage": _outage,
    "outage of 30 s": _long_outage,
    "dropped watches": _dropped,
    "410": _expired,
    "429 with Retry-After": _throttled,
    "500": _failing,
    "late news": _late,
    "replies lost": _lossy,
}
