"""The policy while a service runs: read again, pinned in plans, told in answers and figures."""

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app import settings
from app.cli.reading import why
from app.clock import Clock
from app.errors import Permanent
from app.events.build import Outcome
from app.jobconfig.schema import Action
from app.keptn.api import Endpoint, KeptnApi
from app.keptn.resources import Resources
from app.outbound import Outbound
from app.planning import Decision, Ignore, Plan, Planner
from app.policy.in_force import Policy
from app.policy.rules import Terms
from app.river import policy_for
from tests.captain import Captain, config, document
from tests.conftest import connection
from tests.ship import InstantEngine, Ship
from tests.test_planning import asked, run_of

NONE = "apiVersion: firstmate/v1\nrules: {images: []}\n"
ALL = "apiVersion: firstmate/v1\nrules: {images: ['*']}\n"
BROKEN = "apiVersion: firstmate/v1\nrule: {images: []}\n"
ACTION = Action.model_validate({"name": "Act", "tasks": [{"name": "Do", "image": "alpine"}]})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "policy.yaml", ALL)


def write(path: Path, text: str) -> Path:
    """A new version of the file, as a ConfigMap's comes: another file in its place."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    return fresh.rename(path)


def refusals(policy: Policy, project: str = "p") -> tuple[str, ...]:
    return policy.ruling([ACTION], project).refusals


def test_a_changed_file_counts_for_the_next_plan(file: Path) -> None:
    policy = Policy(Terms(file))
    assert refusals(policy) == ()

    write(file, NONE)

    assert len(refusals(policy)) == 1


@pytest.mark.parametrize("text", [BROKEN, "{", None])
def test_a_broken_or_missing_file_leaves_the_last_good_one_in_force_and_is_told(
    file: Path, text: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    policy = Policy(Terms(write(file, NONE)))
    assert policy.fault == ""
    if text is None:
        file.unlink()
    else:
        write(file, text)

    with caplog.at_level(logging.ERROR):
        assert len(refusals(policy)) == 1
        assert len(refusals(policy)) == 1

    (record,) = caplog.records
    assert record.getMessage() == f"POLICY_FILE stays as it was: {policy.fault}"
    assert str(file) in policy.fault

    write(file, ALL)
    assert (policy.fault, refusals(policy)) == ("", ())


@pytest.mark.parametrize("content", [BROKEN.encode(), b"\xff", None])
def test_at_the_start_the_file_has_to_be_good(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "policy.yaml"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(Permanent, match=str(path)):
        Policy(Terms(path))


def test_the_version_is_the_files_hash(file: Path) -> None:
    text = file.read_bytes()

    assert Policy(Terms(file)).ruling([], "p").version == hashlib.sha256(text).hexdigest()[:12]
    assert Policy(Terms()).ruling([], "p").version == ""


@pytest.mark.parametrize("allowed", [True, False])
def test_no_file_allows_privileged_containers_without_the_variable(
    file: Path, allowed: bool
) -> None:
    write(file, "apiVersion: firstmate/v1\nrules: {privileged: true}\n")
    keys = {"name": "Do", "image": "alpine", "securityContext": {"privileged": True}}
    action = Action.model_validate({"name": "Act", "tasks": [keys]})

    found = Policy(Terms(file, privileged=allowed)).ruling([action], "p").refusals

    assert (found == ()) is allowed
    assert allowed or "`privileged`" in found[0]


async def decided(
    captain: Captain, outbound: Outbound, clock: Clock, policy: Policy, *actions: dict[str, Any]
) -> Decision:
    """What a planner decides for a config of these actions."""
    captain.put(document(*actions))
    base = captain.keptn.sidecar_url
    api = KeptnApi(Endpoint(base, f"{base}/event", final=False), outbound)
    planner = Planner(api, Resources(api, clock), clock, (), policy)
    return await planner.decide(run_of(asked(captain), clock), ask_first=False)


def action(image: str, *, silent: bool = False, task: str = "test") -> dict[str, Any]:
    tasks = [{"name": f"Run {image}", "image": image, "cmd": ["true"]}]
    events = [{"name": f"{task}.triggered"}]
    return {"name": "Act", "silent": silent, "events": events, "tasks": tasks}


@pytest.mark.asyncio(loop_scope="module")
async def test_the_plan_has_the_version_that_let_it_pass(
    captain: Captain, outbound: Outbound, clock: Clock, file: Path
) -> None:
    policy = Policy(Terms(file))

    plan = await decided(captain, outbound, clock, policy, action("alpine"))

    assert isinstance(plan, Plan)
    assert plan.policy == policy.ruling([], "").version != ""
    assert Plan.load(plan.dump()) == plan


@pytest.mark.asyncio(loop_scope="module")
async def test_one_task_that_is_forbidden_keeps_all_actions_from_running(
    captain: Captain, outbound: Outbound, clock: Clock
) -> None:
    policy = Policy(Terms(images="alpine, busybox"))
    actions = [action("alpine"), action("busybox"), action("evil", silent=True)]

    answer = await decided(captain, outbound, clock, policy, *actions)

    assert answer == Outcome(
        "errored",
        "fail",
        "Forbidden by the operator's policy (without a POLICY_FILE), nothing was launched: "
        "Task 'Run evil' of action 'Act': `images`: evil fits none of alpine, busybox; "
        "change the task, or ask the operator for it (POLICY_FILE, ALLOWED_IMAGE_LIST,"
        " ALLOW_PRIVILEGED_JOBS)",
        "policy",
    )


@pytest.mark.asyncio(loop_scope="module")
async def test_what_does_not_match_the_event_is_not_judged(
    captain: Captain, outbound: Outbound, clock: Clock
) -> None:
    policy = Policy(Terms(images="alpine"))
    actions = [action("alpine"), action("evil", task="release")]

    assert isinstance(await decided(captain, outbound, clock, policy, *actions), Plan)


@pytest.mark.asyncio(loop_scope="module")
async def test_silent_actions_are_refused_in_silence_but_for_the_uniform_log(
    captain: Captain, outbound: Outbound, clock: Clock
) -> None:
    policy = Policy(Terms(images="alpine"))

    found = await decided(captain, outbound, clock, policy, action("evil", silent=True))

    assert isinstance(found, Ignore)
    assert (found.code, found.log) == ("policy", True)
    assert "`images`: evil fits none of alpine" in found.reason


@pytest.mark.asyncio(loop_scope="module")
async def test_a_projects_own_rules_are_those_of_the_events_project(
    captain: Captain, outbound: Outbound, clock: Clock, file: Path
) -> None:
    write(file, f"{NONE}projects: {{{captain.project}: {{images: [alpine]}}}}\n")

    found = await decided(captain, outbound, clock, Policy(Terms(file)), action("alpine"))

    assert isinstance(found, Plan)


@pytest.mark.slow
async def test_keptn_hears_started_and_finished_and_nothing_is_launched(
    start: Callable[..., Ship], captain: Captain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    captain.put(config("true", env=[{"name": "keptn-api-token", "valueFrom": "secret"}]))
    engine = InstantEngine()
    ship = start(engine=engine, **connection(captain.keptn, "api"))

    event_id = await captain.trigger(ship.door)
    task = await captain.wait(event_id)

    assert (task["started"], task["finished"], engine.launched) == (1, 1, [])
    answer = captain.finished(event_id)
    assert (answer["status"], answer["result"]) == ("errored", "fail")
    assert "Task 'Do' of action 'Act': `secrets`: keptn-api-token belongs to" in answer["message"]
    labels = '{reason="policy",result="fail",status="errored"}'
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    assert f"\n  nothing was launched: {answer['message']}\n" in why(event_id, as_json=False)
    assert (await ship.figures())[f"firstmate_answered_total{labels}"] == 1


@pytest.mark.slow
async def test_a_broken_file_shows_in_the_figures_before_any_event_comes(
    start: Callable[..., Ship], file: Path
) -> None:
    ship = start(policy_file=file, keptn_api_endpoint="http://127.0.0.1:9/api", keptn_api_token="t")
    assert (await ship.figures())["firstmate_policy_fault"] == 0

    write(file, BROKEN)
    assert (await ship.figures())["firstmate_policy_fault"] == 1


def test_a_service_with_a_broken_policy_refuses_to_start(file: Path) -> None:
    write(file, BROKEN)

    with pytest.raises(Permanent, match="2:1: rule: unknown key, did you mean `rules`"):
        policy_for(settings.load(policy_file=file))


def test_the_variables_of_job_executor_are_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOWED_IMAGE_LIST", "docker.io/library/*, ghcr.io/*")
    assert refusals(policy_for(settings.load())) == ()

    monkeypatch.setenv("ALLOWED_IMAGE_LIST", "ghcr.io/*")
    assert "`images`: alpine fits none of ghcr.io/*" in refusals(policy_for(settings.load()))[0]


def test_in_a_cluster_the_jobs_own_defaults_are_what_a_task_without_keys_asks_for(
    monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    write(file, "apiVersion: firstmate/v1\nrules: {memory: 512Mi, cpu: '1'}\n")
    monkeypatch.setenv("JOB_NAMESPACE", "jobs, more-jobs")
    monkeypatch.setenv("DEFAULT_JOB_SERVICE_ACCOUNT", "firstmate-job")
    given = settings.load(policy_file=file, runner="kubernetes")
    tasks = [{"namespace": "more-jobs", "serviceAccount": "firstmate-job"}, {"namespace": "keptn"}]
    action = Action.model_validate({"tasks": tasks})

    (refusal,) = policy_for(given).ruling([action], "p").refusals

    assert refusal.endswith("`namespaces`: keptn fits none of jobs, more-jobs")
