"""A clock for tests: its seconds pass faster than real ones, and it can be set."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from app.clock import Clock


class FastClock(Clock):
    """Every second lasts 1/`speed` of one; `skip` sets the time forward, or back."""

    def __init__(self, speed: float = 20.0) -> None:
        self.speed = speed
        self._origin = super().now()
        self._skipped = 0.0

    def now(self) -> float:
        passed = super().now() - self._origin
        return self._origin + passed * self.speed + self._skipped

    def tick(self) -> float:
        return super().tick() * self.speed

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds / self.speed)

    async def wait(self, event: asyncio.Event, seconds: float | None) -> None:
        await super().wait(event, None if seconds is None else seconds / self.speed)

    def jitter(self) -> float:
        return 0.5

    def skip(self, seconds: float) -> None:
        """Let so much time pass at once; who sleeps already does not wake earlier."""
        self._skipped += seconds


@asynccontextmanager
async def stopwatch(clock: Clock) -> AsyncIterator[Callable[[], float]]:
    """The seconds since its begin, but for those by which a busy machine let the loop oversleep.

    What has to happen soon is measured by it; what must not happen too soon, by the clock itself.
    """
    begun, overslept = clock.tick(), 0.0

    async def watch() -> None:
        nonlocal overslept
        while True:
            before = clock.tick()
            await clock.sleep(0.5)
            overslept += clock.tick() - before - 0.5

    task = asyncio.create_task(watch())
    yield lambda: clock.tick() - begun - overslept
    task.cancel()
