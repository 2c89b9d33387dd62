"""The one clock: now, sleep and chance come from an object that main hands down.

No other module may ask the operating system for the time, sleep, or draw a random number (the
linter bans it), so that tests can run days in seconds and set time back.
"""

import asyncio
import contextlib
import random
import time


class Clock:
    """Real time and real chance.

    `first_delay` and `longest_delay` are the seconds before a second attempt, and before any.
    """

    first_delay, longest_delay = 0.5, 15.0

    def now(self) -> float:
        """Seconds since the epoch; may jump when somebody sets the machine's clock."""
        return time.time()

    def tick(self) -> float:
        """Seconds that only grow, for measuring how long something took."""
        return time.monotonic()

    def pause(self, seconds: float) -> None:
        """Do nothing at all for so many seconds; for commands, never inside a loop."""
        time.sleep(seconds)

    async def sleep(self, seconds: float) -> None:
        """Let other work run for so many seconds."""
        await asyncio.sleep(seconds)

    async def wait(self, event: asyncio.Event, seconds: float | None) -> None:
        """Until the event is set or the seconds (None: for ever) have passed."""
        with contextlib.suppress(TimeoutError):  # wait_for can lose a cancellation (Python 3.11)
            async with asyncio.timeout(seconds):
                await event.wait()

    def jitter(self) -> float:
        """A factor between 0.5 and 1, so that many retries do not come back together."""
        return 0.5 + random.random() / 2  # noqa: S311 - spreads load, guards nothing

    def backoff(self, failures: int, longest: float | None = None) -> float:
        """Seconds to wait after so many failures in a row: longer each time, up to `longest`."""
        pause = self.first_delay * 2.0 ** min(failures - 1, 10)
        return min(pause, longest or self.longest_delay) * self.jitter()
