"""Sequences from trigger to end over the real API; the tests play the executor."""

from pathlib import Path

import pytest

from app.errors import Permanent
from app.plane.house import Plane
from tests.plane.keptn import Client, VirtualClock, settings

pytestmark = pytest.mark.slow


async def test_a_sequence_runs_through_both_stages(keptn: Client) -> None:
    context = await keptn.trigger(labels={"team": "a"}, image="basket:1")
    deployment = await keptn.do("deployment", deployment={"uris": ["http://a"]}, message="deployed")
    assert deployment["data"] == {
        "project": "bookshop",
        "stage": "dev",
        "service": "basket",
        "labels": {"team": "a"},
        "image": "basket:1",
        "deployment": {"deploymentstrategy": "direct", "replicas": 3},
    }
    test = await keptn.do("test", labels={"team": "a", "run": "7"}, message="tested")
    assert test["data"] | {"deployment": None} == {
        **deployment["data"],
        "deployment": None,
        "result": "pass",
        "status": "succeeded",
        "message": "",
    }
    assert test["data"]["deployment"] == {"uris": ["http://a"]}
    assert await keptn.state(context) == "started"
    release = await keptn.do("release")
    assert release["data"]["stage"] == "prod"
    assert release["data"]["labels"] == {"team": "a", "run": "7"}
    assert await keptn.state(context) == "finished"
    assert await keptn.chain(context) == [
        "dev.delivery.triggered",
        "deployment.triggered",
        "deployment.started",
        "deployment.finished",
        "test.triggered",
        "test.started",
        "test.finished",
        "dev.delivery.finished",
        "prod.delivery.triggered",
        "release.triggered",
        "release.started",
        "release.finished",
        "prod.delivery.finished",
    ]
    assert await keptn.ended(context) == {
        "project": "bookshop",
        "stage": "dev",
        "service": "basket",
        "labels": {"team": "a", "run": "7"},
        "result": "pass",
        "status": "succeeded",
        "message": "tested",
    }


async def test_a_task_is_listed_as_open_until_it_is_complete(keptn: Client) -> None:
    await keptn.trigger()
    (task,) = await keptn.open("deployment")
    assert task["source"] == "shipyard-controller"
    assert "triggeredid" not in task
    await keptn.answer(task, "started")
    assert await keptn.open("deployment") == [task]
    await keptn.answer(task, "finished", result="pass", status="succeeded")
    path = "/api/controlPlane/v1/event/triggered/sh.keptn.event.deployment.triggered"
    assert await keptn.get(path, project="bookshop", eventID=task["id"]) == {
        "events": [],
        "nextPageKey": "0",
    }


async def test_a_warning_goes_on_and_is_forgotten(keptn: Client) -> None:
    context = await keptn.trigger()
    await keptn.do("deployment", result="warning")
    await keptn.do("test")
    assert (await keptn.ended(context))["result"] == "pass"
    assert len(await keptn.open("release")) == 1


async def test_a_fail_ends_the_sequence_and_fires_what_selects_it(keptn: Client) -> None:
    context = await keptn.trigger()
    await keptn.do("deployment", result="fail", message="no disk")
    ended = await keptn.ended(context)
    assert (ended["status"], ended["result"], ended["message"]) == ("succeeded", "fail", "no disk")
    assert await keptn.open("test") == await keptn.open("release") == []
    await keptn.do("rollback")
    assert await keptn.state(context) == "finished"


async def test_an_errored_task_that_passed_ends_the_sequence_and_fires_the_follow_ups(
    keptn: Client,
) -> None:
    context = await keptn.trigger()
    await keptn.do("deployment", result="pass", status="errored")
    assert (await keptn.ended(context))["status"] == "errored"
    assert await keptn.open("test") == []
    assert len(await keptn.open("release")) == 1


async def test_two_executors_are_waited_for_and_their_results_merged(keptn: Client) -> None:
    context = await keptn.trigger()
    (task,) = await keptn.open("deployment")
    for source in ("one", "two"):
        await keptn.answer(task, "started", source)
    done = {"result": "pass", "status": "succeeded"}
    await keptn.answer(task, "finished", "one", deployment={"n": 1, "l": [1]}, **done)
    assert await keptn.open("deployment") == [task]
    counted = (await keptn.execution(context))["status"]["currentTask"]
    assert [(event["eventType"], event["source"]) for event in counted["events"]] == [
        ("sh.keptn.event.deployment.started", "one"),
        ("sh.keptn.event.deployment.started", "two"),
        ("sh.keptn.event.deployment.finished", "one"),
    ]
    done["result"] = "warning"
    await keptn.answer(task, "finished", "two", deployment={"n": 2, "l": [2]}, **done)
    (following,) = await keptn.open("test")
    assert following["data"]["deployment"] == {"n": 1, "l": [2, 1]}
    assert following["data"]["result"] == "warning"


async def test_a_started_too_many_hangs_the_task_until_one_more_finished_came(
    keptn: Client,
) -> None:
    context = await keptn.trigger()
    (task,) = await keptn.open("deployment")
    for _ in range(2):
        await keptn.answer(task, "started")
    await keptn.answer(task, "finished", result="pass", status="succeeded")
    assert await keptn.open("test") == []
    await keptn.answer(task, "finished", result="pass", status="succeeded")
    assert len(await keptn.open("test")) == 1
    previous = (await keptn.execution(context))["status"]["previousTasks"]
    assert [task["name"] for task in previous] == ["deployment"]


async def test_a_finished_too_many_is_ignored(keptn: Client) -> None:
    await keptn.trigger()
    task = await keptn.do("deployment")
    await keptn.answer(task, "finished", result="fail", status="errored")
    assert len(await keptn.open("test")) == 1


async def test_an_answer_under_another_task_name_hangs_the_task(keptn: Client) -> None:
    await keptn.trigger()
    (task,) = await keptn.open("deployment")
    await keptn.answer(task, "started")
    renamed = {**task, "type": "sh.keptn.event.test.triggered"}
    await keptn.answer(renamed, "finished", result="pass", status="succeeded")
    assert await keptn.open("deployment") == [task]


async def test_an_answer_in_another_context_is_not_counted(keptn: Client) -> None:
    context = await keptn.trigger()
    (task,) = await keptn.open("deployment")
    await keptn.answer({**task, "shkeptncontext": "another"}, "started")
    assert (await keptn.execution(context))["status"]["currentTask"]["events"] == []


async def test_the_stage_of_the_last_answer_names_the_end(keptn: Client) -> None:
    context = await keptn.trigger()
    await keptn.do("deployment")
    (task,) = await keptn.open("test")
    await keptn.answer(task, "started")
    await keptn.answer(task, "finished", result="pass", status="succeeded", stage="prod")
    assert "prod.delivery.finished" in await keptn.chain(context)
    assert await keptn.open("release") == []


@pytest.mark.parametrize(
    ("sequence", "reason"),
    [
        ("none.delivery", "no stage with name none"),
        ("dev.none", "no task sequence with name none found in stage dev"),
    ],
)
async def test_what_is_not_in_the_shipyard_ends_at_once(
    keptn: Client, sequence: str, reason: str
) -> None:
    context = await keptn.trigger(sequence)
    ended = await keptn.ended(context, sequence)
    assert (ended["status"], ended["result"]) == ("errored", "fail")
    assert reason in ended["message"]
    assert await keptn.state(context) == "finished"


async def test_a_foreign_project_ends_at_once(keptn: Client) -> None:
    context = await keptn.trigger(project="other")
    assert "Project not found" in (await keptn.ended(context))["message"]


async def test_an_evaluation_can_always_be_triggered(keptn: Client) -> None:
    await keptn.trigger("prod.evaluation")
    assert len(await keptn.open("evaluation")) == 1


async def test_a_changed_shipyard_counts_from_the_next_trigger(keptn: Client, folder: Path) -> None:
    shipyard = folder / "shipyard.yaml"
    text = shipyard.read_text()
    shipyard.write_text(text.replace("name: deployment", "name: rollout"))
    context = await keptn.trigger()
    assert len(await keptn.open("rollout")) == 1
    shipyard.write_text("spec: [")
    await keptn.do("rollout")
    await keptn.do("test")
    assert (await keptn.ended(context))["result"] == "pass"
    assert "shipyard.yaml" in (await keptn.ended(context, "prod.delivery"))["message"]


async def test_without_a_shipyard_there_is_no_plane(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(Permanent, match=r"shipyard\.yaml is missing"):
        Plane(settings(tmp_path / "empty"), VirtualClock())


async def test_a_project_needs_a_name(folder: Path) -> None:
    shipyard = folder / "shipyard.yaml"
    shipyard.write_text(shipyard.read_text().replace("{name: bookshop}", "{}"))
    with pytest.raises(Permanent, match=r"metadata\.name"):
        Plane(settings(folder), VirtualClock())
    plane = Plane(settings(folder, project="shop"), VirtualClock())
    assert plane.project == "shop"
    plane.close()


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("spec.keptn.sh/0.2.4", "spec.keptn.sh/0.1.7", "apiVersion"),
        ("spec.keptn.sh/0.2.4", "spec.keptn.sh/0.2.4-rc1", "apiVersion"),
        ("name: dev\n", "name: Dev\n", "stages"),
        ("spec:", "other:", "stages"),
        ("name: test", "[", "shipyard.yaml"),
    ],
)
async def test_a_bad_shipyard_is_named_with_its_place(
    folder: Path, old: str, new: str, place: str
) -> None:
    shipyard = folder / "shipyard.yaml"
    shipyard.write_text(shipyard.read_text().replace(old, new))
    with pytest.raises(Permanent, match=place):
        Plane(settings(folder), VirtualClock())
