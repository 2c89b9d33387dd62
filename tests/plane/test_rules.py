"""Keptn's controller, rule by rule: what it does with events, and with which data it goes on.

A row is a rule in words and the steps that show it. A step is a line; its first word says what:

    trigger SEQUENCE [SERVICE] [JSON]     start TASK, end TASK RESULT STATUS [JSON]
    post TYPE TASK [JSON]                 abort | pause | resume [STAGE]      wait SECONDS
    open TASK...                          the tasks that are listed as open, and no others
    told TASK...                          the same of those that a distributor is told
    ended SEQUENCE STATUS RESULT [TEXT]   the end of a sequence of the first run
    state STATE                           of the first run
    data TASK JSON                        keys of the open task's data, null for none
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from app.plane.house import Plane
from tests.plane.keptn import Client, Json, VirtualClock, client_of, running, settings

pytestmark = pytest.mark.slow

SHIPYARD = """
apiVersion: spec.keptn.sh/0.2.4
kind: Shipyard
metadata: {name: bookshop}
spec:
  stages:
  - name: dev
    sequences:
    - name: delivery
      tasks:
      - {name: deploy, properties: {replicas: 3, mode: direct, list: [new]}}
      - {name: test}
    - {name: empty, tasks: []}
    - {name: approved, tasks: [{name: approval}, {name: release}]}
    - {name: twice, tasks: [{name: test}, {name: test}]}
    - {name: late, tasks: [{name: test, triggeredAfter: 1m30s}]}
    - {name: wrong-delay, tasks: [{name: test, triggeredAfter: soon}]}
    - {name: judged, tasks: [{name: test}, {name: evaluation}]}
    - name: on-judged
      triggeredOn:
      - {event: dev.judged.finished, selector: {match: {evaluation.result: fail}}}
      tasks: [{name: rollback}]
    - name: on-first-task
      triggeredOn:
      - {event: dev.judged.finished, selector: {match: {test.result: warning}}}
      tasks: [{name: never}]
  - name: one
    sequences:
    - name: delivery
      triggeredOn: [{event: dev.delivery.finished}]
      tasks: [{name: release}]
  - name: two
    sequences:
    - name: delivery
      triggeredOn:
      - {event: dev.delivery.finished, selector: {match: {result: warning}}}
      - {event: dev.delivery.finished, selector: {}}
      tasks: [{name: release}]
  - name: ops
    sequences:
    - name: repair
      triggeredOn: [{event: dev.delivery.finished, selector: {match: {result: fail}}}]
      tasks: [{name: repair}]
    - name: repair-failed
      triggeredOn: [{event: dev.delivery.finished, selector: {match: {result: failed}}}]
      tasks: [{name: never}]
"""
STEPS = 50
EXPECTATIONS = ("open", "told", "ended", "state", "data")
TASKS = ["deploy", "test", "approval", "release", "evaluation", "rollback", "repair", "never"]

COUNTING = """
finished before started: both count
    trigger dev.delivery | end deploy pass succeeded | open deploy | start deploy | open test
finished without a started never completes, and does not time out
    trigger dev.delivery | end deploy pass succeeded | wait 700 | open deploy | state started
started without finished waits for ever
    trigger dev.delivery | start deploy | wait 5000 | open deploy | state started
nothing at all ends the sequence after ten minutes
    trigger dev.delivery | wait 700 | state timedOut | open | ended dev.delivery errored fail deploy
what ran into the timeout fires nothing
    trigger dev.delivery | wait 700 | open
whatever names the task counts as a response
    trigger dev.delivery | post sh.keptn.event.deploy.invalidated deploy | wait 700 | open deploy
started by two waits for two finished
    trigger dev.delivery | start deploy | start deploy | end deploy pass succeeded | open deploy
started by two is complete with two finished
    trigger dev.delivery | start deploy | start deploy | end deploy pass succeeded
    end deploy pass succeeded | open test
a finished too many is ignored
    trigger dev.delivery | start deploy | end deploy pass succeeded | last deploy fail errored
    open test
two started and a finished sent twice complete it early
    trigger dev.delivery | start deploy | start deploy | end deploy pass succeeded
    end deploy pass succeeded | open test
an unknown triggeredid is ignored
    trigger dev.delivery | post sh.keptn.event.deploy.started - {"triggeredid": "other"}
    end deploy pass succeeded | open deploy
another context is ignored
    trigger dev.delivery | post sh.keptn.event.deploy.started deploy {"shkeptncontext": "other"}
    end deploy pass succeeded | open deploy
another project is ignored
    trigger dev.delivery | post sh.keptn.event.deploy.started deploy {"data": {"project": "x"}}
    end deploy pass succeeded | open deploy
another task's name counts, but never completes
    trigger dev.delivery | post sh.keptn.event.other.started deploy
    post sh.keptn.event.other.finished deploy {"data": {"result": "pass", "status": "succeeded"}}
    open deploy | end deploy pass succeeded | open deploy
an invalidated is stored and counts for nothing
    trigger dev.delivery | post sh.keptn.event.deploy.invalidated deploy | start deploy
    end deploy pass succeeded | open test
a sequence of an unknown stage ends at once
    trigger none.delivery | ended none.delivery errored fail none | state finished
an unknown sequence ends at once
    trigger dev.none | ended dev.none errored fail none | state finished
a finished after the timeout is ignored
    trigger dev.delivery | note deploy | wait 700 | last deploy pass succeeded | open
    state timedOut
a finished after an abort is ignored
    trigger dev.delivery | start deploy | note deploy | abort | last deploy pass succeeded | open
    state aborted
any fail is a fail
    trigger dev.delivery | start deploy | start deploy | end deploy pass succeeded
    end deploy fail succeeded | ended dev.delivery succeeded fail
else any warning is a warning
    trigger dev.delivery | start deploy | start deploy | end deploy warning succeeded
    end deploy pass succeeded | data test {"result": "warning", "status": "succeeded"}
any other word is a fail
    trigger dev.delivery | start deploy | end deploy failed succeeded
    ended dev.delivery succeeded fail
any errored is errored
    trigger dev.delivery | start deploy | start deploy | end deploy pass errored
    end deploy pass aborted | ended dev.delivery errored pass
an aborted that passed goes on
    trigger dev.delivery | start deploy | end deploy pass aborted
    data test {"status": "aborted", "result": "pass"}
an unknown status makes a fail
    trigger dev.delivery | start deploy | end deploy pass done | ended dev.delivery unknown fail
"""

CONTROL = """
an abort ends the run as aborted and passed, and fires nothing
    trigger dev.delivery | start deploy | abort | ended dev.delivery aborted pass | open
    state aborted
an abort of another stage changes nothing
    trigger dev.delivery | abort one | open deploy | state started
a pause stops only what comes next, which is listed but told to nobody
    trigger dev.delivery | start deploy | pause | state paused | end deploy pass succeeded
    open test | told | wait 700 | state paused
a resume tells it
    trigger dev.delivery | start deploy | pause | end deploy pass succeeded | resume
    state started | told test
a pause of another stage changes nothing
    trigger dev.delivery | pause one | start deploy | end deploy pass succeeded | told test
what a paused run would trigger waits too
    trigger dev.delivery | start deploy | end deploy pass succeeded | start test | pause
    end test pass succeeded | open | state paused | resume | open release release
what is due while its run is paused is told when that is resumed
    trigger dev.late | pause | wait 100 | open test | told | resume | told test
a resumed run that was aborted stays so
    trigger dev.delivery | pause | abort | resume | state aborted | open
one run at a time on a stage and service
    trigger dev.delivery | trigger dev.delivery | open deploy | start deploy
    end deploy pass succeeded | open test
others are not held up
    trigger dev.delivery | trigger dev.delivery cart | open deploy deploy
the next goes on when the first has ended
    trigger dev.delivery | trigger dev.twice | start deploy | end deploy fail succeeded
    open test repair
the next goes on when the first is aborted
    trigger dev.delivery | trigger dev.twice | abort | open test
the next goes on when the first is timed out
    trigger dev.delivery | trigger dev.approved | wait 700 | open approval
the next goes on when the first is paused, which then must wait
    trigger dev.delivery | trigger dev.twice | start deploy | pause | open deploy test
    end deploy pass succeeded | resume | state waiting | told test
one that waits can be aborted
    trigger dev.twice | trigger dev.delivery | abort last | start test
    end test fail succeeded | open
who waits for an approval holds up nobody
    trigger dev.approved | state waitingForApproval | trigger dev.delivery | told approval deploy
who was approved waits for his turn
    trigger dev.approved | start approval | trigger dev.delivery | end approval pass succeeded
    state waiting | told deploy | start deploy | end deploy fail succeeded | told release repair
a task after an approval is started again
    trigger dev.approved | start approval | end approval pass succeeded | state started
    open release
"""

SEQUENCE = """
the stage is that of the data, the sequence that of the type
    trigger dev.delivery | data deploy {"stage": "dev", "project": "bookshop", "service": "basket"}
a sequence without tasks ends at once
    trigger dev.empty | ended dev.empty errored fail tasks
an evaluation is always there
    trigger two.evaluation | open evaluation
a fail stops the sequence
    trigger dev.delivery | start deploy | end deploy fail succeeded | open repair
an errored stops it too
    trigger dev.delivery | start deploy | end deploy pass errored | open release release
a warning goes on
    trigger dev.delivery | start deploy | end deploy warning succeeded | open test
the same task twice is two tasks
    trigger dev.twice | start test | end test pass succeeded | open test | start test
    end test pass succeeded | open | ended dev.twice succeeded pass
a delayed task is hidden until then
    trigger dev.late | open | wait 80 | open | wait 20 | open test
a delay that is none is no delay
    trigger dev.wrong-delay | open test
the end forgets an earlier warning
    trigger dev.delivery | start deploy | end deploy warning succeeded | start test
    end test pass succeeded | ended dev.delivery succeeded pass
without selector a pass or a warning fires; all that match fire, one listed twice fires twice
    trigger dev.delivery | start deploy | end deploy pass succeeded | start test
    end test warning succeeded | open release release release
a match names the very word
    trigger dev.delivery | start deploy | end deploy fail succeeded | open repair
a match may name the last task
    trigger dev.judged | start test | end test pass succeeded | start evaluation
    end evaluation fail succeeded | open rollback
a match may not name an earlier task
    trigger dev.judged | start test | end test warning succeeded | start evaluation
    end evaluation pass succeeded | open
the last task is the last that ran
    trigger dev.judged | start test | end test fail succeeded | open
a follow-up gets all that was told before, in its own stage
    trigger dev.delivery {"image": "a"} | start deploy
    end deploy pass succeeded {"deploy": {"u": 1}} | start test
    end test fail succeeded {"message": "no"}
    data repair {"stage": "ops", "image": "a", "result": "fail", "message": ""}
a run is finished once no stage is open
    trigger dev.delivery | start deploy | end deploy fail succeeded | state started
    start repair | end repair pass succeeded | state finished
"""

DATA = """
the trigger's data go to every task
    trigger dev.twice {"a": {"b": 1}} | data test {"a": {"b": 1}} | start test
    end test pass succeeded | data test {"a": {"b": 1}}
project, stage and service are the sequence's
    trigger dev.twice | start test | end test pass succeeded {"project": "bookshop", "x": 1}
    data test {"project": "bookshop", "stage": "dev", "service": "basket", "x": 1}
the first task has no result
    trigger dev.delivery | data deploy {"result": null, "status": null}
later ones have that of the task before
    trigger dev.twice | start test | end test warning succeeded
    data test {"result": "warning", "status": "succeeded"}
a task's properties are merged into what is there: numbers stay, texts change, lists grow in front
    trigger dev.delivery {"deploy": {"replicas": 1, "mode": "x", "list": ["old"], "more": true}}
    data deploy {"deploy": {"replicas": 1, "mode": "direct", "list": ["new", "old"], "more": true}}
what several finished tell is merged in their order
    trigger dev.delivery | start deploy | start deploy
    end deploy pass succeeded {"x": {"n": 1, "s": "one", "l": [1]}}
    end deploy pass succeeded {"x": {"n": 2, "s": "two", "l": [2]}}
    data test {"x": {"n": 1, "s": "two", "l": [2, 1]}}
a message is blanked
    trigger dev.twice | start test | end test pass succeeded {"message": "done"}
    data test {"message": ""}
no message is none
    trigger dev.twice | start test | end test pass succeeded | data test {"message": null}
"""

SECTIONS = {
    "how the controller reacts": COUNTING,
    "sequence control and queue": CONTROL,
    "the controller's algorithm": SEQUENCE,
    "the data of a triggered event": DATA,
}


def rows() -> list[Any]:
    """Every (steps), named by its section and rule."""
    found: list[Any] = []
    for section, text in SECTIONS.items():
        rule, steps = "", list[str]()
        for line in [*text.strip().splitlines(), "end"]:
            if line.startswith("    "):
                steps += [step.strip() for step in line.split(" | ")]
                continue
            if steps:
                found.append(pytest.param(steps, id=f"{section}: {rule}"))
            rule, steps = line, []
    return found


class Player:
    """Takes the steps, one after the other."""

    def __init__(self, keptn: Client, clock: VirtualClock) -> None:
        self.keptn, self.clock = keptn, clock
        self.contexts: list[str] = []
        self.noted: Json = {}

    async def take(self, step: str) -> None:
        words, _, data = step.partition(" {")
        name, *rest = words.split()
        given = {"more": json.loads("{" + data)} if data else {}

        async def do() -> None:
            await getattr(self, f"do_{name}")(*rest, **given)

        if name not in EXPECTATIONS:
            await do()
            return
        for _ in range(100):  # what time brings about happens in a thread
            with suppress(AssertionError, IndexError, ValueError):
                await do()
                return
            await asyncio.sleep(0.02)
        await do()

    async def do_trigger(self, sequence: str, service: str = "basket", more: Json = {}) -> None:  # noqa: B006
        self.contexts.append(await self.keptn.trigger(sequence, **{"service": service, **more}))

    async def do_start(self, task: str) -> None:
        await self.keptn.answer(await self._open(task), "started")

    async def do_end(self, task: str, result: str, status: str, more: Json = {}) -> None:  # noqa: B006
        open_task = await self._open(task)
        scope = {key: more.pop(key) for key in ("project", "stage") if key in more}
        await self.keptn.answer(
            open_task, "finished", result=result, status=status, **scope, **more
        )

    async def do_note(self, task: str) -> None:
        await self._open(task)

    async def do_last(self, task: str, result: str, status: str) -> None:
        """A finished for the task that was open last."""
        await self.keptn.answer(self.noted[task], "finished", result=result, status=status)

    async def do_post(self, kind: str, task: str, more: Json = {}) -> None:  # noqa: B006
        of = await self._open(task) if task != "-" else await self._open("deploy")
        scope = {key: of["data"][key] for key in ("project", "stage", "service")}
        event = {"shkeptncontext": of["shkeptncontext"], "triggeredid": of["id"], **more}
        event["data"] = scope | more.get("data", {})
        await self.keptn.post({"type": kind, "source": "me", **event})

    async def do_abort(self, stage: str = "") -> None:
        await self._control("abort", stage)

    async def do_pause(self, stage: str = "") -> None:
        await self._control("pause", stage)

    async def do_resume(self, stage: str = "") -> None:
        await self._control("resume", stage)

    async def _control(self, state: str, stage: str) -> None:
        context = self.contexts[-1 if stage == "last" else 0]
        path = f"/api/controlPlane/v1/sequence/bookshop/{context}/control"
        order = {"state": state, "stage": "" if stage == "last" else stage}
        answer = await self.keptn.http.post(path, json=order)
        assert (answer.status_code, answer.json()) == (200, {})

    async def do_wait(self, seconds: str) -> None:
        for _ in range(STEPS):  # whoever is about to sleep now oversleeps by a step or two only
            self.clock.pass_by(float(seconds) / STEPS)
            await asyncio.sleep(0.001)

    async def do_open(self, *tasks: str) -> None:
        found = [name for name in TASKS for _ in await self.keptn.open(name)]
        assert sorted(found) == sorted(tasks)

    async def do_told(self, *tasks: str) -> None:
        kinds = [f"sh.keptn.event.{task}.triggered" for task in TASKS]
        found = list[str]()
        for context in self.contexts:
            stored = {event["id"] for event in await self.keptn.events(context)}
            found += [
                kind.split(".")[3]
                for kind in kinds
                for event in await self.keptn.open(kind.split(".")[3])
                if event["id"] in stored
            ]
        assert sorted(found) == sorted(tasks)

    async def do_ended(self, sequence: str, status: str, result: str, text: str = "") -> None:
        ended = await self.keptn.ended(self.contexts[0], sequence)
        assert (ended["status"], ended["result"]) == (status, result)
        assert text in ended["message"]

    async def do_state(self, state: str) -> None:
        assert await self.keptn.state(self.contexts[0]) == state

    async def do_data(self, task: str, more: Json) -> None:
        data = (await self._open(task))["data"]
        assert {key: data.get(key) for key in more} == more

    async def _open(self, task: str) -> Json:
        self.noted[task] = (await self.keptn.open(task))[0]
        found: Json = self.noted[task]
        return found


@pytest.fixture
async def player(tmp_path: Path) -> AsyncIterator[Player]:
    clock = VirtualClock()
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "shipyard.yaml").write_text(SHIPYARD)
    plane = Plane(settings(tmp_path / "shop"), clock)
    async with running(plane), client_of(plane) as http:
        yield Player(Client(http), clock)
    plane.close()


@pytest.mark.parametrize("steps", rows())
async def test_the_plane_keeps_the_rule(player: Player, steps: list[str]) -> None:
    for step in steps:
        await player.take(step)
