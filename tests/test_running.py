"""A pinned plan is done action by action, task by task, on real processes; and what comes of it."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.core import Core
from app.engines.contract import Ended
from app.engines.process import ProcessEngine
from app.errors import Temporary
from app.events.build import Outcome, Result, Status, errored, seconds
from app.ledger import rows
from app.naming import Place, launch_key
from app.results import TAIL_CHARACTERS, Defaults
from app.running import worst
from tests.errands import Bench, Json, ScriptedEngine, action, task
from tests.ship import InstantEngine, eventually
from tests.tasks.shelf import Shelf, supplies

FIRST = Place(0, 0)


def note(file: Path, word: str, code: int = 0) -> Json:
    """A task that adds a word to a file."""
    return task("sh", "-c", f"echo {word} >> {file}; exit {code}", name=word)


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose supervisor serves many tests."""
    return tmp_path_factory.mktemp("running") / "jobs"


@pytest.fixture
async def bench(core: Core, jobs: Path) -> AsyncIterator[Bench]:
    engine = ProcessEngine(jobs, core.clock, {"PATH": "/usr/bin:/bin"})
    yield Bench(core, engine)
    await engine.close()


@pytest.mark.slow
async def test_every_matching_action_runs_in_file_order_also_after_one_failed(
    bench: Bench, tmp_path: Path
) -> None:
    file = tmp_path / "words"
    errand = await bench.plan(
        action("First", note(file, "one"), note(file, "two", code=3), note(file, "never")),
        action("Second", note(file, "three")),
        action("Hush", note(file, "four"), silent=True),
    )
    outcome = await bench.perform(errand)
    assert file.read_text().split() == ["one", "two", "three", "four"]
    assert (outcome.status, outcome.result, outcome.reason) == ("errored", "fail", "run")
    assert [one.kind for one in bench.letters(errand)] == ["started", "finished"]


@pytest.mark.slow
async def test_a_silent_action_never_enters_the_answer(bench: Bench) -> None:
    hush = action("Hush", task("sh", "-c", "echo secret; exit 1", name="Hushed"), silent=True)
    outcome = await bench.perform(await bench.plan(hush, action("Act", task("echo", "told"))))
    assert (outcome.status, outcome.result) == ("succeeded", "pass")
    assert "told" in outcome.message
    assert "secret" not in outcome.message
    assert "Hushed" not in outcome.message


@pytest.mark.slow
async def test_of_silent_actions_alone_nothing_is_sent(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "words"
    errand = await bench.plan(action("Hush", note(file, "done", code=1), silent=True))
    outcome = await bench.perform(errand)
    assert (file.read_text(), outcome.status) == ("done\n", "errored")
    assert bench.letters(errand) == []


@pytest.mark.slow
async def test_an_action_without_tasks_passes(bench: Bench) -> None:
    assert await bench.outcome() == Outcome("succeeded", "pass")


@pytest.mark.slow
async def test_the_message_tells_of_each_task_how_it_ended_and_what_it_printed(
    bench: Bench,
) -> None:
    outcome = await bench.outcome(
        task("echo", "all is well", name="First"),
        task("sh", "-c", "echo to the error stream >&2; exit 7", name="Second"),
        task("echo", "never", name="Third"),
    )
    assert outcome.message == (
        "Task 'First' finished successfully!\n\nLogs:\nall is well\n\n\n"
        "Task 'Second' failed with exit code 7\n\nLogs:\nto the error stream\n\n\n"
    )


@pytest.mark.slow
async def test_a_task_that_cannot_be_started_says_why(bench: Bench) -> None:
    outcome = await bench.outcome(task("no-such-command"))
    assert outcome.reason == "start"
    assert "could not be started: no-such-command: No such file or directory" in outcome.message


@pytest.mark.slow
async def test_a_task_that_is_ended_by_a_signal_says_which(bench: Bench) -> None:
    outcome = await bench.outcome(task("sh", "-c", "kill -SEGV $$$$"))
    assert outcome.reason == "run"
    assert "failed with exit code 139: ended by signal SIGSEGV" in outcome.message


@pytest.mark.slow
async def test_a_deadline_is_named_with_its_key(bench: Bench) -> None:
    outcome = await bench.outcome(task("sleep", "60", maxPollDuration=0))
    assert outcome.reason == "timeout"
    assert "was ended at its deadline of 0 s (maxPollDuration)" in outcome.message


@pytest.mark.slow
async def test_long_output_keeps_its_end_and_the_answer_fits(bench: Bench) -> None:
    errand = await bench.plan(action("Act", task("sh", "-c", "yes | head -c 200000; echo end")))
    outcome = await bench.perform(errand)
    assert f"[... {200_004 - TAIL_CHARACTERS} characters cut ...]" in outcome.message
    assert "end\n" in outcome.message
    assert max(len(one.body) for one in bench.letters(errand)) <= 48 * 1024


@pytest.mark.slow
async def test_output_that_is_no_text_does_no_harm(bench: Bench) -> None:
    outcome = await bench.outcome(task("printf", r"\377\000\033[31m"))
    assert (outcome.result, "\ufffd\0\x1b[31m" in outcome.message) == ("pass", True)


@pytest.mark.slow
async def test_keys_without_effect_are_named_once(bench: Bench) -> None:
    one = task("true", imagePullPolicy="Always", annotations={"a": "b"})
    two = task("true", imagePullPolicy="Never", serviceAccount="x", namespace="n")
    outcome = await bench.outcome(one, two)
    assert outcome.message.endswith(
        "Without effect on this engine: annotations, imagePullPolicy, namespace, serviceAccount\n"
    )
    assert outcome.message.count("Without effect") == 1


async def test_a_key_within_a_key_may_be_the_one_without_effect(core: Core) -> None:
    bench = Bench(core, InstantEngine())
    bench.engine.without_effect = frozenset({"resources.requests"})
    one = task("true", resources={"requests": {"cpu": "1"}, "limits": {"cpu": "1"}})
    outcome = await bench.outcome(one)
    assert outcome.message.endswith("Without effect on this engine: resources.requests\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "cause"),
    [
        ({"files": ["/a"]}, " for task Do: looked on service level p/s/svc, on"),
        (
            {"env": [{"name": "S", "value": "s", "valueFrom": "secret"}]},
            "could not add env with name S, valueFrom secret: ",
        ),
        (
            {"env": [{"name": "E", "value": "$.data.none", "valueFrom": "event"}]},
            "could not add env with name 'E', value '$.data.none', valueFrom 'event': ",
        ),
        ({"env": [{"name": "X", "value": "x", "valueFrom": "moon"}]}, "unknown valueFrom moon"),
        ({"cmd": []}, "the image 'alpine' without cmd has no meaning on the process engine"),
    ],
)
async def test_what_cannot_be_served_is_errored_and_names_the_key(
    bench: Bench, more: Json, cause: str
) -> None:
    outcome = await bench.outcome(task("true", **more), task("echo", "never"))
    assert (outcome.status, outcome.result, outcome.reason) == ("errored", "fail", "config")
    assert outcome.message.startswith("Task 'Do' cannot run: ")
    assert cause in outcome.message


@pytest.mark.slow
async def test_a_task_sees_the_event_in_its_environment(bench: Bench) -> None:
    scope = {"project": "p", "stage": "s", "service": "svc"}
    entries = [
        {"name": "OWN", "value": "text", "valueFrom": "string"},
        {"name": "NUMBER", "value": "$.data.number", "valueFrom": "event"},
    ]
    outcome = await bench.outcome(
        task("env", env=entries), data={**scope, "number": 1234567, "labels": {"a-b": "c"}}
    )
    printed = set(outcome.message.splitlines())
    assert {"OWN=text", "NUMBER=1234567", "LABELS_A_B=c", "KEPTN_PROJECT=p"} <= printed
    assert {"KEPTN_STAGE=s", "KEPTN_SERVICE=svc"} <= printed


async def test_a_task_is_launched_under_a_key_that_is_saved_first(core: Core) -> None:
    engine = InstantEngine()
    bench = Bench(core, engine)
    errand = await bench.plan(action("Act", task("a"), task("b")), id="../x y")
    await bench.perform(errand)
    saved = [row.key for row in rows.tasks(core.ledger.reader, errand.run.id)]
    assert engine.launched == saved == [launch_key("../x y", Place(0, number)) for number in (0, 1)]


async def test_a_task_that_was_launched_before_is_never_launched_again(core: Core) -> None:
    engine = InstantEngine()
    bench = Bench(core, engine)
    errand = await bench.plan(action("Act", task("a")))
    await core.lifecycle.launch(errand.run, FIRST, launch_key(errand.run.event_id, FIRST), "Do")
    outcome = await bench.perform(bench.errand(errand.run.id))
    assert (outcome.reason, engine.launched) == ("interrupted", [])
    assert "a restart found nothing of it; it is not run twice" in outcome.message


async def test_a_task_whose_end_is_saved_is_not_asked_for_again(core: Core) -> None:
    engine = InstantEngine()
    bench = Bench(core, engine)
    errand = await bench.plan(action("Act", task("a", name="A"), task("b", name="B")))
    row = await core.lifecycle.launch(errand.run, FIRST, "key", "A")
    await core.lifecycle.end_task(row, Outcome("succeeded", "pass", "saved\n"))
    outcome = await bench.perform(bench.errand(errand.run.id))
    assert outcome.message.startswith("saved\nTask 'B' finished successfully!")
    assert engine.launched == [launch_key(errand.run.event_id, Place(0, 1))]


async def test_a_cancelled_run_launches_nothing_more(core: Core) -> None:
    engine = InstantEngine()
    bench = Bench(core, engine)
    errand = await bench.plan(action("Act", task("a")))
    await bench.runner.cancel(errand, "Keptn is no longer interested")
    outcome = await bench.perform(errand)
    assert (outcome.reason, engine.launched) == ("cancelled", [])
    assert "Keptn is no longer interested" in outcome.message


async def test_nothing_is_launched_for_a_run_that_was_cancelled_while_its_files_were_read(
    core: Core,
) -> None:
    engine, shelf = InstantEngine(), Shelf({("service", "a"): b""})
    bench = Bench(core, engine, supplies=supplies(shelf))
    errand = await bench.plan(action("Act", task("true", files=["a"])))
    shelf.open.clear()
    performing = asyncio.create_task(bench.perform(errand))
    await eventually(lambda: bool(shelf.asked))
    await bench.runner.cancel(errand, "Keptn is no longer interested")
    shelf.open.set()
    assert ((await performing).reason, engine.launched) == ("cancelled", [])


@pytest.mark.parametrize(
    ("several", "status", "result"),
    [
        ([], "succeeded", "pass"),
        ([("succeeded", "pass"), ("succeeded", "warning")], "succeeded", "warning"),
        ([("succeeded", "fail"), ("succeeded", "warning")], "succeeded", "fail"),
        ([("succeeded", "pass"), ("errored", "fail")], "errored", "fail"),
        ([("unknown", "warning"), ("succeeded", "fail")], "unknown", "fail"),
    ],
)
def test_of_several_outcomes_the_worst_is_the_answer(
    several: list[tuple[Status, Result]], status: Status, result: Result
) -> None:
    outcome = worst([Outcome(*one, message="m") for one in several])
    assert (outcome.status, outcome.result) == (status, result)
    assert outcome.message == "m" * len(several)


def test_the_first_reason_of_the_worst_is_the_answers_reason() -> None:
    fine = Outcome("succeeded", "pass", "", "run")
    warned = Outcome("succeeded", "warning", "", "run")
    assert worst([fine, warned, errored("timeout", ""), errored("run", "")]).reason == "timeout"
    assert worst([errored("start", ""), Outcome("succeeded", "fail", "", "run")]).reason == "start"


@pytest.mark.parametrize(
    ("word", "status", "result", "launched"),
    [
        ("errored", "errored", "fail", 1),
        ("fail", "succeeded", "fail", 1),
        ("warning", "succeeded", "warning", 2),
        ("continue", "succeeded", "pass", 2),
    ],
)
async def test_the_next_task_runs_unless_on_failure_stops(
    core: Core, word: str, status: str, result: str, launched: int
) -> None:
    engine = ScriptedEngine(Ended(1))
    bench = Bench(core, engine, version="firstmate/v1")
    outcome = await bench.outcome(task("a", onFailure=word), task("b"))
    assert (outcome.status, outcome.result, outcome.reason) == (status, result, "run")
    assert len(engine.launched) == launched


async def test_for_a_v2_file_the_operator_decides(core: Core) -> None:
    engine = ScriptedEngine(Ended(1))
    bench = Bench(core, engine, Defaults("warning", "never", 77))
    outcome = await bench.outcome(task("a"))
    assert (outcome.result, "Logs:" in outcome.message) == ("warning", False)
    assert engine.deadlines == [77.0]


async def test_a_job_that_says_it_failed_stops_its_action(core: Core) -> None:
    engine = ScriptedEngine(Ended(0, result=b'{"result": "fail", "data": {"failed": 3}}'))
    outcome = await Bench(core, engine).outcome(task("a"), task("b"))
    assert (outcome.status, outcome.result, len(engine.launched)) == ("succeeded", "fail", 1)
    assert outcome.data["failed"] == 3


async def test_the_data_of_all_tasks_becomes_one_block_of_the_answer(core: Core) -> None:
    engine = ScriptedEngine(
        Ended(0, result=b'{"data": {"a": 1, "b": 1}}'), Ended(0, result=b'{"data": {"b": 2}}')
    )
    bench = Bench(core, engine)
    errand = await bench.plan(
        action("Act", task("a"), task("b")),
        type="sh.keptn.event.load-test.triggered",
        gitcommitid="c0ffee",
        data={"project": "p", "stage": "s", "service": "svc", "labels": {"build": "7"}},
    )
    await bench.perform(errand)
    finished = json.loads(bench.letters(errand)[-1].body)
    assert finished["data"]["load-test"] == {"a": 1, "b": 2}
    assert finished["gitcommitid"] == "c0ffee"
    assert finished["data"]["labels"] == {"build": "7"}


async def test_the_answer_to_a_test_says_when_it_began_and_ended(core: Core) -> None:
    bench = Bench(core, InstantEngine())
    hush = action("Hush", task("h"), silent=True)
    errand = await bench.plan(hush, action("Act", task("a"), task("b")))
    data = (await bench.perform(errand)).data
    _, first, last = bench.rows(errand)
    for word, moment in (("start", first.launched), ("end", last.ended)):
        assert seconds(data[word]) == pytest.approx(moment, abs=0.001)


async def test_the_answer_to_another_task_says_nothing_of_times(core: Core) -> None:
    bench = Bench(core, InstantEngine())
    errand = await bench.plan(
        {**action("Act", task("a")), "events": [{"name": "deployment"}]},
        type="sh.keptn.event.deployment.triggered",
    )
    assert (await bench.perform(errand)).data == {}


async def test_an_old_file_is_told_once_that_it_is_read_as_one(core: Core) -> None:
    bench = Bench(core, InstantEngine(), version="v1")
    old = [{**task("a"), "cmd": "a b"}, {**task("b"), "cmd": "c"}]
    outcome = await bench.outcome(*old)
    assert outcome.message.count("The job config has an old format, apiVersion v1: ") == 1


async def test_while_keptn_is_away_nothing_is_launched_and_nothing_is_lost(core: Core) -> None:
    engine = InstantEngine()
    shelf = Shelf({("service", "a"): b"content"}, faults=[Temporary("Keptn is away")])
    bench = Bench(core, engine, supplies=supplies(shelf))
    errand = await bench.plan(action("Act", task("a", files=["a"])))
    with pytest.raises(Temporary, match="Keptn is away"):
        await bench.runner.perform(errand)
    assert (bench.rows(errand), engine.launched) == ([], [])
    outcome = await bench.perform(bench.errand(errand.run.id))
    assert (outcome.result, len(engine.launched)) == ("pass", 1)


@pytest.mark.slow
async def test_the_job_itself_says_by_file_or_line_what_came_of_it(bench: Bench) -> None:
    by_line = task("echo", '::keptn-result {"result": "warning", "message": "by line"}')
    script = """echo '{"message": "by file", "data": {"a": 1}}' > $KEPTN_RESULT_FILE"""
    outcome = await bench.outcome(by_line, task("sh", "-c", script))
    assert (outcome.status, outcome.result, outcome.data["a"]) == ("succeeded", "warning", 1)
    assert "finished with the result warning\n\nby line\n" in outcome.message
    assert "finished successfully!\n\nby file\n" in outcome.message
