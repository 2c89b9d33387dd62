"""Every boundary x every mode of Keptn, once: nothing is lost, doubled, or launched twice.

All of it over both engines, while a channel for notices fails half of the time.
"""

from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from tests.crash.matrix import Result, Round
from tests.crash.playing import every_round, stage

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def results(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[Result]]]:
    """The rounds of this session's selection, all under way at once."""
    chosen = {item.name for item in request.session.items if item.path == request.path}
    with stage() as open_stage:
        yield {
            str(one): open_stage.play(one)
            for one in every_round()
            if any(name.endswith(f"[{one}]") for name in chosen)
        }


@pytest.mark.parametrize("played", every_round(), ids=str)
def test_the_task_is_answered_and_nothing_runs_twice_when_the_service_is(
    played: Round, results: dict[str, Future[Result]]
) -> None:
    result = results[str(played)].result()
    assert result.kills == len(played.kills), result.note
    assert result.survived, f"{result}\n{result.note}"
