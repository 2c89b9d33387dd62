"""A short day at a Keptn that is polled; `python -m tests.day` lives through a whole one."""

import pytest

from tests.day import Plan, live

pytestmark = pytest.mark.slow


async def test_nothing_is_lost_or_doubled_in_an_hour_of_outages_and_restarts() -> None:
    hour = Plan(150, 6, 3, 4, 20, 5, speed=300, hours=1, quiet_hours=0.1)
    tally = await live(hour)
    assert tally.flawless, tally
    assert (tally.answered_once, tally.notices_doubled, tally.violations) == (150, 0, 0)
