"""Random shipyards, answers, orders and times against the plane and a model of the controller."""

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from app.plane.controller import Controller
from app.plane.projects import Projects
from app.plane.store import Store
from app.plane.validation import PostedEvent
from tests.plane.keptn import Json, VirtualClock
from tests.plane.model import START_TIMEOUT, Model, Run, Sequence, Shipyard, Task

pytestmark = pytest.mark.slow

STAGES, NAMES, SERVICES = ("a", "b"), ("x", "y"), ("s", "t")
DELAYS = {0.0: "", 90.0: "1m30s"}
RESULTS = st.sampled_from(["pass", "pass", "pass", "warning", "fail", "odd"])
STATUSES = st.sampled_from(["succeeded", "succeeded", "succeeded", "errored", "aborted", "odd"])
WORDS = st.lists(st.tuples(RESULTS, STATUSES), min_size=4, max_size=4)
ORDERS = st.sampled_from(["sf", "sf", "sf", "fs", "ssff", "sfsf", "ffs"])
KINDS = st.sampled_from(["started", "finished"])
MATCHES = st.sampled_from(["", "fail", "warning", "build:fail", "approval:pass"])
TASKS = st.tuples(
    st.sampled_from(["build", "build", "approval"]), st.sampled_from([0.0, 0.0, 90.0])
)
ENDS = [f"{stage}.{name}.finished" for stage in STAGES for name in NAMES]
SEQUENCES = st.builds(
    Sequence,
    st.lists(TASKS, max_size=3).map(tuple),
    st.lists(st.tuples(st.sampled_from(ENDS), MATCHES), max_size=2).map(tuple),
)
PLACES = [(stage, name) for stage in STAGES for name in NAMES]
SHIPYARDS = st.fixed_dictionaries(dict.fromkeys(PLACES, SEQUENCES))
SEQUENCES_RUN = 0


def document(shipyard: Shipyard) -> Json:
    """The shipyard as a file holds it."""
    stages: dict[str, list[Json]] = {stage: [] for stage in STAGES}
    for (stage, name), sequence in shipyard.items():
        tasks = [{"name": task, "triggeredAfter": DELAYS[wait]} for task, wait in sequence.tasks]
        fired = [{"event": event, **_selector(match)} for event, match in sequence.fired_by]
        stages[stage].append({"name": name, "tasks": tasks, "triggeredOn": fired})
    listed = [{"name": name, "sequences": sequences} for name, sequences in stages.items()]
    spec = {"apiVersion": "spec.keptn.sh/0.2.4", "metadata": {"name": "p"}}
    return spec | {"spec": {"stages": listed}}


def _selector(match: str) -> Json:
    task, _, wanted = match.rpartition(":")
    key = f"{task}.result" if task else "result"
    return {"selector": {"match": {key: wanted}}} if match else {}


class ControllerMachine(RuleBasedStateMachine):
    """Every step is done to both; then both must show the same."""

    @initialize(shipyard=SHIPYARDS)
    def begin(self, shipyard: Shipyard) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="firstmate-model-")
        self.root = Path(self.folder.name)
        (self.root / "shipyard.yaml").write_text(json.dumps(document(shipyard)))
        (self.root / "data").mkdir()
        self.clock = VirtualClock()
        self.model = Model(shipyard, self.clock.time)
        self.pairs: dict[str, Run] = {}
        self.tasks: dict[str, tuple[Run, Task]] = {}
        self.contexts: list[str] = []
        self.open_store()

    def open_store(self) -> None:
        self.store = Store(self.root / "data" / "plane.db")
        projects = Projects(self.root, "", self.root / "data", self.store, self.clock)
        self.controller = Controller(projects, self.store, self.clock)

    @precondition(lambda self: len(self.model.runs) < 20)
    @rule(
        place=st.sampled_from([*PLACES, ("a", "none")]),
        service=st.sampled_from(SERVICES),
        again=st.integers(0, 3),
    )
    def trigger(self, place: tuple[str, str], service: str, again: int) -> None:
        self.pass_by(0.01)
        known = self.contexts[-1] if self.contexts and not again else ""
        data = {"project": "p", "stage": place[0], "service": service}
        kind = f"sh.keptn.event.{place[0]}.{place[1]}.triggered"
        given = PostedEvent(type=kind, source="me", data=data, shkeptncontext=known)
        context = self.controller.post(given)
        self.contexts.append(context)
        self.model.trigger(context, *place, service)

    @precondition(lambda self: self.tasks)
    @rule(back=st.integers(0, 3), kind=KINDS, result=RESULTS, status=STATUSES)
    def answer(self, back: int, kind: str, result: str, status: str) -> None:
        identity = list(self.tasks)[-1 - min(back, len(self.tasks) - 1)]
        run, task = self.tasks[identity]
        self.post(identity, run, task, kind, {"result": result, "status": status})

    @precondition(lambda self: self.tasks)
    @rule(back=st.integers(0, 3), order=ORDERS, words=WORDS)
    def do(self, back: int, order: str, words: list[tuple[str, str]]) -> None:
        """The usual pair of answers, or those of two executors."""
        identity = list(self.tasks)[-1 - min(back, len(self.tasks) - 1)]
        run, task = self.tasks[identity]
        for letter, (result, status) in zip(order, words, strict=False):
            kind = {"s": "started", "f": "finished"}[letter]
            self.post(identity, run, task, kind, {"result": result, "status": status})

    def post(self, identity: str, run: Run, task: Task, kind: str, words: dict[str, str]) -> None:
        self.pass_by(0.01)
        data = {"project": "p", "stage": run.lane[0], "service": run.lane[1], **words}
        given = {"type": f"sh.keptn.event.{task.name}.{kind}", "source": "me", "data": data}
        given |= {"triggeredid": identity, "shkeptncontext": run.context}
        self.controller.post(PostedEvent.model_validate(given))
        self.model.answer(run, task, kind, words["result"], words["status"])

    @precondition(lambda self: self.contexts)
    @rule(
        back=st.integers(0, 2),
        order=st.sampled_from(["abort", "pause", "resume", "resume"]),
        stage=st.sampled_from(["", "", *STAGES]),
    )
    def control(self, back: int, order: str, stage: str) -> None:
        self.pass_by(0.01)
        context = self.contexts[-1 - min(back, len(self.contexts) - 1)]
        self.controller.control("p", context, order, stage)
        self.model.control(context, order, stage)

    @rule(seconds=st.sampled_from([30.0, 100.0, 700.0]))
    def wait(self, seconds: float) -> None:
        self.pass_by(seconds)

    @rule()
    def restart(self) -> None:
        self.store.close()
        self.open_store()

    def pass_by(self, seconds: float) -> None:
        self.clock.pass_by(seconds)
        self.controller.tick(START_TIMEOUT)
        self.model.wait(seconds)

    @invariant()
    def both_show_the_same_runs(self) -> None:
        if not hasattr(self, "store"):
            return
        phases = dict(self.store.query("SELECT eventID, phase FROM events"))
        found = self.store.find("executions", "1")
        assert len(found) == len(self.model.runs)
        for execution in found:
            run = self.paired(execution)
            current = execution["status"]["currentTask"]
            assert execution["status"]["state"] == run.state
            assert len(execution["status"]["previousTasks"]) == len(run.done)
            assert current["name"] == (run.task.name if run.task else "")
            if run.task:
                self.tasks[current["triggeredID"]] = run, run.task
                assert phases[current["triggeredID"]] == self.phase(run, run.task)

    def phase(self, run: Run, task: Task) -> str:
        if run.state in ("finished", "aborted", "timedOut"):
            return "closed"
        if task.told_at is not None:
            return "open"
        return "scheduled" if task.due > self.model.now else "held"

    @invariant()
    def both_told_the_same_ends(self) -> None:
        if not hasattr(self, "store"):
            return
        found = self.store.find("events", "type GLOB 'sh.keptn.event.*.*.finished'")
        told = [
            (
                event["shkeptncontext"],
                event["type"][15:-9],
                event["data"]["result"],
                event["data"]["status"],
            )
            for event in found
        ]
        assert sorted(told) == sorted(self.model.ends)

    def paired(self, execution: Json) -> Run:
        """The model's run for an execution: the first alike that has none yet."""
        if execution["_id"] not in self.pairs:
            scope = execution["scope"]
            key = (
                scope["keptnContext"],
                (scope["stage"], scope["service"]),
                execution["sequence"]["name"],
            )
            taken = set(map(id, self.pairs.values()))
            self.pairs[execution["_id"]] = next(
                run
                for run in self.model.runs
                if id(run) not in taken and (run.context, run.lane, run.name) == key
            )
        return self.pairs[execution["_id"]]

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            self.folder.cleanup()
            _count(len(self.model.runs))


def _count(runs: int) -> None:
    global SEQUENCES_RUN  # noqa: PLW0603 - told at the end
    SEQUENCES_RUN += runs


def test_the_plane_and_the_model_never_disagree() -> None:
    limits = settings(
        max_examples=200,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(ControllerMachine, settings=limits)
    print(f"{SEQUENCES_RUN} sequences run, no disagreement")
