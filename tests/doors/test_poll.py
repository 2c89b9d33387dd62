"""Events that nobody pushes: found, taken once, closed, held back; and what that costs Keptn."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.captain import Captain, config
from tests.conftest import connection
from tests.ship import InstantEngine, Ship

Start = Callable[..., Ship]
TASK = "test"


@pytest.fixture
def begin(start: Start, captain: Captain) -> Start:
    """Starts services that poll the strict Keptn's API."""
    captain.put(config("true"))
    return partial(start, **connection(captain.keptn, "poll"))


async def trigger(captain: Captain, task: str = TASK, **more: Any) -> str:
    """Have a task triggered that nobody delivers."""
    return await captain.trigger("", task, **more)


async def test_an_event_that_nobody_pushes_is_found_and_answered(
    begin: Start, captain: Captain
) -> None:
    engine = InstantEngine()
    begin(engine=engine)
    event_id = await trigger(captain)
    await captain.wait(event_id)
    assert captain.counts(event_id) == (1, 1)
    assert len(engine.launched) == 1
