"""Asking again while the other side cannot tell; what is asked, or said in the end, is not here."""

import math
from collections.abc import Awaitable, Callable
from typing import TypeVar

from app.clock import Clock
from app.errors import Temporary

PATIENCE_SECONDS = 540.0
"""How long Keptn is asked for what a task needs; it gives the task up after ten minutes."""

Answer = TypeVar("Answer")
Ask = Callable[[], Awaitable[Answer]]


async def insist(ask: Ask[Answer], clock: Clock, seconds: float = math.inf) -> Answer:
    """The answer, as soon as there is one.

    Raises:
        Temporary: there was none for so many seconds, whatever became of the wall clock.
    """
    end, failures = clock.tick() + seconds, 0
    while True:
        try:
            return await ask()
        except Temporary as error:
            if clock.tick() > end:
                raise
            failures += 1
            await clock.sleep(error.after or clock.backoff(failures))
