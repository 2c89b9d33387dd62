"""A task that asks for retries is launched again: after what, how often, how soon, until when."""

from itertools import pairwise

import pytest

from app.core import Core
from app.engines.contract import Ended
from app.events.build import Outcome
from app.naming import Place, launch_key
from app.running import Errand, Stopping
from tests.errands import Bench, ScriptedEngine, StillClock, action, reasons, task

TIMEOUT = Ended(None, "timeout")


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


def bench(core: Core, *ends: Ended) -> tuple[Bench, ScriptedEngine]:
    """A place to work at, and its engine, whose jobs end so."""
    engine = ScriptedEngine(*ends)
    return Bench(core, engine, version="firstmate/v1"), engine


async def failed_once(here: Bench, reason: str = "run", retries: int = 1) -> Errand:
    """A run whose service was killed when the first attempt had failed."""
    errand = await here.plan(action("Act", task("a", retries=retries)))
    row = await here.core.lifecycle.launch(errand.run, Place(0, 0), "key", "Do")
    await here.core.lifecycle.end_task(row, Outcome("errored", "fail", "first\n", reason))
    return here.errand(errand.run.id)


async def test_it_is_launched_until_it_passes_each_time_under_a_key_of_its_own(core: Core) -> None:
    here, engine = bench(core, Ended(1), TIMEOUT)
    errand = await here.plan(action("Act", task("a", retries=5), task("b", name="Next")))
    outcome = await here.perform(errand)
    assert (outcome.status, outcome.result, outcome.reason) == ("succeeded", "pass", "")
    places = [*(Place(0, 0, number) for number in range(3)), Place(0, 1)]
    assert engine.launched == [launch_key(errand.run.event_id, place) for place in places]
    assert [row.place for row in here.rows(errand)] == places
    assert "why the earlier ones ended: run, timeout\n" in outcome.message
    assert "Task 'Do' ended in attempt 3 of 6; " in outcome.message
    assert outcome.message.count("Task 'Do'") == 2
    assert "Task 'Next' finished successfully!" in outcome.message


async def test_the_last_attempt_counts_when_none_passes(core: Core) -> None:
    here, engine = bench(core, Ended(1), Ended(2), Ended(3), Ended(4))
    outcome = await here.outcome(task("a", retries=2, onFailure="warning"))
    assert (outcome.result, len(engine.launched)) == ("warning", 3)
    assert "exit code 3" in outcome.message
    assert "exit code 1" not in outcome.message


@pytest.mark.parametrize("cause", ["run", "create", "start", "timeout", "interrupted"])
async def test_every_failure_is_worth_another_attempt(core: Core, cause: str) -> None:
    here, engine = bench(core, Ended(1, cause))
    assert (await here.outcome(task("a", retries=1))).result == "pass"
    assert len(engine.launched) == 2


async def test_a_failure_that_is_let_pass_is_retried_as_well(core: Core) -> None:
    here, engine = bench(core, Ended(1))
    outcome = await here.outcome(task("a", retries=1, onFailure="continue"))
    assert (outcome.reason, len(engine.launched)) == ("", 2)


@pytest.mark.parametrize(
    "ended", [Ended(1, "cancelled"), Ended(0, result=b'{"result": "fail"}'), Ended(0)]
)
async def test_what_was_cancelled_or_ended_by_itself_is_not_retried(
    core: Core, ended: Ended
) -> None:
    here, engine = bench(core, ended)
    await here.outcome(task("a", retries=3))
    assert len(engine.launched) == 1


async def test_a_task_that_cannot_be_served_is_not_retried(core: Core) -> None:
    here, engine = bench(core)
    outcome = await here.outcome(task("a", retries=3, files=["none"]))
    assert (outcome.reason, engine.launched) == ("config", [])


async def test_the_pauses_double_up_to_six_minutes(core: Core) -> None:
    here, _ = bench(core, *[Ended(1)] * 9)
    errand = await here.plan(action("Act", task("a", retries=8)))
    await here.perform(errand)
    attempts = here.rows(errand)
    pauses = [after.launched - (before.ended or 0) for before, after in pairwise(attempts)]
    assert pauses == pytest.approx([10, 20, 40, 80, 160, 320, 360, 360])


@pytest.mark.parametrize(("away", "left"), [(0, 10), (7, 3), (60, 0), (-3600, 10)])
async def test_a_restart_waits_for_what_is_left_of_the_pause(
    core: Core, clock: StillClock, away: int, left: int
) -> None:
    here, engine = bench(core)
    errand = await failed_once(here)
    clock.skip(away)
    assert (await here.perform(errand)).result == "pass"
    assert clock.slept == pytest.approx(left)
    assert len(engine.launched) == 1


async def test_a_restart_goes_on_with_the_attempt_that_was_launched(core: Core) -> None:
    here, engine = bench(core)
    errand = await failed_once(here, "timeout", retries=2)
    await core.lifecycle.launch(errand.run, Place(0, 0, 1), "second key", "Do")
    outcome = await here.perform(errand := here.errand(errand.run.id))
    assert reasons(here.rows(errand)) == ["timeout", "interrupted", ""]
    assert "why the earlier ones ended: timeout, interrupted" in outcome.message
    assert engine.launched == [launch_key(errand.run.event_id, Place(0, 0, 2))]


async def test_the_tasks_own_deadline_spans_all_attempts_and_pauses(
    core: Core, clock: StillClock
) -> None:
    here, engine = bench(core, Ended(1), Ended(1))
    outcome = await here.outcome(task("a", retries=9, activeDeadlineSeconds=25, maxPollDuration=20))
    assert engine.deadlines == [20, 15]
    assert clock.slept == 10
    assert "ended in attempt 2 of 10; why the earlier ones ended: run; no time" in outcome.message
    assert "no time was left for another (activeDeadlineSeconds, or TASK_" in outcome.message


async def test_a_deadline_is_told_by_the_key_that_set_it(core: Core) -> None:
    here, _ = bench(core, TIMEOUT)
    outcome = await here.outcome(task("a", activeDeadlineSeconds=5))
    assert "was ended at its deadline of 5 s (activeDeadlineSeconds, or TASK_" in outcome.message
    here, _ = bench(core, TIMEOUT)
    outcome = await here.outcome(task("a", activeDeadlineSeconds=500, maxPollDuration=7))
    assert "was ended at its deadline of 7 s (maxPollDuration)" in outcome.message


async def test_a_service_that_ends_does_not_wait_for_another_attempt(core: Core) -> None:
    here, engine = bench(core)
    errand = await failed_once(here)
    here.runner.stopping = True
    with pytest.raises(Stopping):
        await here.runner.perform(errand)
    assert engine.launched == []


async def test_a_run_that_is_cancelled_gets_no_other_attempt(core: Core, clock: StillClock) -> None:
    here, engine = bench(core)
    errand = await failed_once(here)
    await here.runner.cancel(errand, "Keptn closed it")
    outcome = await here.perform(errand)
    assert (outcome.reason, engine.launched, clock.slept) == ("cancelled", [], 0)


async def test_retries_are_counted_by_why(core: Core) -> None:
    here, _ = bench(core, Ended(1), TIMEOUT, Ended(1))
    await here.outcome(task("a", retries=3))
    told = core.metrics.render().decode()
    assert 'firstmate_retried_total{reason="run"} 2.0' in told
    assert 'firstmate_retried_total{reason="timeout"} 1.0' in told
