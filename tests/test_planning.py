"""What is done for an event: by which config, when in silence, and when answered at once."""

import json
import uuid
from typing import Any

import pytest

from app.clock import Clock
from app.errors import Temporary
from app.events import parse
from app.events.build import Outcome
from app.events.parse import Event
from app.keptn.api import Endpoint, KeptnApi
from app.keptn.resources import Resources
from app.ledger.rows import Run
from app.outbound import Outbound
from app.planning import LATE_SECONDS, Decision, Ignore, Plan, Planner
from tests.captain import Captain, config, document
from tests.clocks import FastClock
from tests.conftest import event

pytestmark = pytest.mark.asyncio(loop_scope="module")
LEVELS = {"service": ("s", "svc"), "stage": ("s", ""), "project": ("", "")}
SILENT = {"name": "Hush", "silent": True, "events": [{"name": "test"}], "tasks": []}
BROKEN = """apiVersion: v2
actions:
- name: Act
  events:
  - name: sh.keptn.event.test.triggered
  tasks:
  - name: Do
    imagee: alpine
"""


@pytest.fixture
def planner(captain: Captain, outbound: Outbound, clock: FastClock) -> Planner:
    return planner_of(captain, outbound, clock)


def planner_of(captain: Captain, outbound: Outbound, clock: FastClock, *owned: str) -> Planner:
    base = captain.keptn.sidecar_url
    api = KeptnApi(Endpoint(base, f"{base}/event", final=False), outbound)
    return Planner(api, Resources(api, clock), clock, owned)


def asked(captain: Captain, **more: Any) -> Event:
    """An event of the captain's project."""
    return event(data={"project": captain.project, "stage": "s", "service": "svc"}, **more)


def run_of(event: Event, clock: Clock, age: float = 0) -> Run:
    """The run of an event that happened so many seconds ago."""
    scope = (event.named("project"), event.named("stage"), event.named("service"))
    times = (clock.now() - age, clock.now(), clock.now())
    head = (1, event.id, "received", "", event.type, event.shkeptncontext)
    return Run(*head, *scope, parse.stored(event), *times, None, None, 1)


async def decision(planner: Planner, captain: Captain, **more: Any) -> Decision:
    """What is decided for an event that has just come."""
    run = run_of(asked(captain, **more), planner.clock)
    return await planner.decide(run, ask_first=False)


@pytest.mark.parametrize("level", LEVELS)
async def test_the_first_level_that_has_a_config_decides(
    planner: Planner, captain: Captain, level: str
) -> None:
    names = list(LEVELS)
    for name in names[names.index(level) :]:
        captain.put(config(name), *LEVELS[name])
    plan = await decision(planner, captain)
    assert isinstance(plan, Plan)
    assert (plan.level, plan.read().actions[0].tasks[0].cmd) == (level, (level,))


async def test_the_plan_is_pinned_to_the_events_commit(planner: Planner, captain: Captain) -> None:
    old = captain.put(config("old"))
    new = captain.put(config("new"))
    for commit, cmd in ((old, "old"), (new, "new"), (None, "new")):
        plan = await decision(planner, captain, gitcommitid=commit)
        assert isinstance(plan, Plan)
        assert (plan.version, plan.read().actions[0].tasks[0].cmd) == (commit or new, (cmd,))
        assert Plan.load(plan.dump()) == plan


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("told", [True, False])
async def test_files_are_pinned_to_the_events_commit_or_else_to_the_configs_version(
    planner: Planner, captain: Captain, level: str, told: bool
) -> None:
    version = captain.put(config("true"), *LEVELS[level])
    later = captain.keptn.resource("", captain.project, "s", "svc", uri="notes")
    plan = await decision(planner, captain, gitcommitid=later if told else None)
    assert isinstance(plan, Plan)
    known = {"service": later, "stage": later, "project": ""}
    assert version != later
    assert plan.commit == (later if told else known[level])


async def test_a_plan_of_an_older_version_has_no_commit() -> None:
    plan = Plan("text", "service", "1", (0,), answered=True, commit="1")
    kept = {key: value for key, value in json.loads(plan.dump()).items() if key != "commit"}
    assert Plan.load(json.dumps(kept)).commit == ""


async def test_a_projects_own_config_is_read_without_the_commit(
    planner: Planner, captain: Captain
) -> None:
    commit = captain.put(config("true"), "", "")
    assert isinstance(await decision(planner, captain, gitcommitid=commit), Plan)
    objections = captain.keptn.state()["violations"]
    assert not [one for one in objections if captain.project in one["detail"]]


async def test_without_any_config_it_is_not_ours(planner: Planner, captain: Captain) -> None:
    captain.put(config("true"), "other", "svc")
    assert await decision(planner, captain) == Ignore(
        "no config", f"no job/config.yaml on any level of {captain.project}/s/svc"
    )


async def test_only_a_404_leads_to_the_next_level(planner: Planner, captain: Captain) -> None:
    captain.put(config("service"))
    captain.put(config("project"), "", "")
    captain.spoil("404")
    plan = await decision(planner, captain)
    assert isinstance(plan, Plan)
    assert plan.level == "project"


@pytest.mark.parametrize("mode", ["500", "503", "401", "429", "400", "garbage", "drop_request"])
async def test_an_unreachable_level_is_neither_missing_nor_skipped(
    planner: Planner, captain: Captain, mode: str
) -> None:
    captain.put(config("service"))
    captain.put(config("project"), "", "")
    captain.spoil(mode)
    with pytest.raises(Temporary):
        await decision(planner, captain)


async def test_a_commit_that_keptn_does_not_know_yet_is_asked_for_again(
    planner: Planner, captain: Captain
) -> None:
    captain.put(config("service"))
    with pytest.raises(Temporary):
        await decision(planner, captain, gitcommitid="f" * 40)


async def test_a_broken_config_that_was_meant_for_the_event_is_answered_with_path_and_line(
    planner: Planner, captain: Captain
) -> None:
    captain.put(BROKEN, "s", "")
    answer = await decision(planner, captain)
    assert isinstance(answer, Outcome)
    assert (answer.status, answer.result, answer.reason) == ("errored", "fail", "config")
    assert answer.message == (
        "the job config cannot be used: job/config.yaml (stage level):8:5: actions[0].tasks[0]."
        "imagee: unknown key, did you mean `image` (a key of Task)?"
    )


@pytest.mark.parametrize("owned", ["test", "*"])
@pytest.mark.parametrize("text", ["{", "\t", "apiVersion: v3", BROKEN.replace("test", "other")])
async def test_a_broken_config_of_a_task_that_is_owned_is_answered(
    captain: Captain, outbound: Outbound, clock: FastClock, owned: str, text: str
) -> None:
    captain.put(text)
    planner = planner_of(captain, outbound, clock, "another", owned)
    assert isinstance(await decision(planner, captain), Outcome)


async def test_a_broken_config_of_others_goes_to_the_uniform_log_only(
    captain: Captain, outbound: Outbound, clock: FastClock
) -> None:
    captain.put(BROKEN.replace("test", "other"))
    found = await decision(planner_of(captain, outbound, clock, "another"), captain)
    assert isinstance(found, Ignore)
    assert (found.code, found.log) == ("broken config", True)
    assert "job/config.yaml (service level):8:5: " in found.reason


async def test_a_config_that_is_no_utf_8_is_broken_at_its_line_and_column(
    planner: Planner, captain: Captain
) -> None:
    captain.keptn.resource(
        BROKEN.replace("Act", "é").encode("latin-1"), captain.project, "s", "svc"
    )
    answer = await decision(planner, captain)
    assert isinstance(answer, Outcome)
    assert answer.message == (
        "the job config cannot be used: job/config.yaml (service level):3:9: "
        "no valid YAML: the character '\\udce9' is not allowed"
    )


async def test_what_no_action_matches_says_where_it_looked(
    planner: Planner, captain: Captain
) -> None:
    version = captain.put(config("true", task="other"))
    assert await decision(planner, captain) == Ignore(
        "no match",
        "no action matches sh.keptn.event.test.triggered in job/config.yaml (service level)"
        f" at version {version}; it has: 'Act'",
    )


async def test_a_config_without_actions_says_so(planner: Planner, captain: Captain) -> None:
    captain.put(document())
    found = await decision(planner, captain)
    assert isinstance(found, Ignore)
    assert found.reason.endswith("it has: none")


async def test_every_matching_action_is_chosen_in_file_order(
    planner: Planner, captain: Captain
) -> None:
    actions = [{**json.loads(config(name))["actions"][0], "name": name} for name in "ab"]
    captain.put(document(actions[0], SILENT, {"name": "not for us"}, actions[1]))
    plan = await decision(planner, captain)
    assert isinstance(plan, Plan)
    assert (plan.actions, plan.answered) == ((0, 1, 3), True)


async def test_a_plan_of_silent_actions_is_not_answered(planner: Planner, captain: Captain) -> None:
    captain.put(document(SILENT))
    plan = await decision(planner, captain)
    assert isinstance(plan, Plan)
    assert not plan.answered


@pytest.mark.parametrize("ask_first", [False, True])
@pytest.mark.parametrize("age", [0, LATE_SECONDS + 60])
async def test_late_and_restarted_events_are_asked_for_first(
    planner: Planner, captain: Captain, clock: FastClock, age: float, ask_first: bool
) -> None:
    captain.put(config("true"))
    context = str(uuid.uuid4())
    event_id = await captain.trigger(door="", context=context)
    open_run = run_of(asked(captain, id=event_id, shkeptncontext=context), clock, age)
    assert isinstance(await planner.decide(open_run, ask_first=ask_first), Plan)
    captain.keptn.abort(event_id)
    found = await planner.decide(open_run, ask_first=ask_first)
    if ask_first or age:
        assert isinstance(found, Ignore)
        assert found.code == "closed"
    else:
        assert isinstance(found, Plan)


async def test_nothing_is_done_for_a_late_event_of_a_project_that_is_gone(
    planner: Planner, captain: Captain, clock: FastClock
) -> None:
    run = run_of(asked(captain), clock, LATE_SECONDS + 60)
    found = await planner.decide(run, ask_first=False)
    assert isinstance(found, Ignore)
    assert found.code == "no config"


@pytest.mark.parametrize("context", ["", "of-nothing-that-keptn-runs"])
async def test_a_late_event_that_was_sent_by_hand_is_done(
    planner: Planner, captain: Captain, clock: FastClock, context: str
) -> None:
    captain.put(config("true"))
    by_hand = run_of(asked(captain, shkeptncontext=context), clock, LATE_SECONDS + 60)
    assert isinstance(await planner.decide(by_hand, ask_first=True), Plan)


async def test_a_keptn_that_cannot_be_asked_is_asked_again(
    planner: Planner, captain: Captain, clock: FastClock
) -> None:
    event_id = await captain.trigger(door="")
    captain.fault("500", where="triggered")
    with pytest.raises(Temporary):
        await planner.decide(run_of(asked(captain, id=event_id), clock), ask_first=True)
