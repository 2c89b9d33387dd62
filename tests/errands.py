"""One run at a time on an engine, without a service around it: from the event to its outcome.

What the run's tasks are, and what must come of them, stands in the tests.
"""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from app.core import Core
from app.engines.contract import Ended, Engine, Work
from app.events.build import Outcome
from app.jobconfig.read import read
from app.keptn.resources import Resource
from app.ledger import rows
from app.ledger.rows import Letter, TaskRow
from app.planning import Plan, _choose
from app.results import Defaults
from app.running import Errand, Runner
from app.tasks.image import Supplies
from tests.clocks import FastClock
from tests.conftest import event
from tests.ship import InstantEngine
from tests.tasks.shelf import supplies

Json = dict[str, Any]


@dataclass
class Bench:
    """Where errands are done; `version` is the apiVersion of their job configs."""

    core: Core
    engine: Engine
    defaults: Defaults = field(default_factory=Defaults)
    supplies: Supplies = field(default_factory=supplies)
    version: str = "v2"

    async def plan(self, *actions: Json, **more: Any) -> Errand:
        """Pin these actions for an event."""
        asked = event(**{"id": uuid.uuid4().hex, **more})
        text = json.dumps({"apiVersion": self.version, "actions": actions})  # JSON is YAML
        _, run_id = await self.core.lifecycle.accept(asked)
        assert run_id is not None
        plan = _choose(read(text), asked, Resource(text.encode(), "service", "1"))
        assert isinstance(plan, Plan)
        run = rows.run(self.core.ledger.reader, run_id)
        await self.core.lifecycle.plan(run, plan.dump(), answered=plan.answered)
        return self.errand(run_id)

    def errand(self, run_id: int) -> Errand:
        """The run as a service takes it up after a restart."""
        self.runner = Runner(self.engine, self.core, self.supplies, self.defaults)
        return self.runner.begin(rows.run(self.core.ledger.reader, run_id))

    async def perform(self, errand: Errand) -> Outcome:
        """Do it, and read from the disk what came of it."""
        await self.runner.perform(errand)
        run = rows.run(self.core.ledger.reader, errand.run.id)
        assert run.state == "answered"
        return Outcome(**json.loads(run.outcome or ""))

    async def outcome(self, *tasks: Json, **more: Any) -> Outcome:
        """What comes of one action with these tasks."""
        return await self.perform(await self.plan(action("Act", *tasks), **more))

    def letters(self, errand: Errand) -> list[Letter]:
        return rows.letters(self.core.ledger.reader, errand.run.id)

    def rows(self, errand: Errand) -> list[TaskRow]:
        return rows.tasks(self.core.ledger.reader, errand.run.id)


def action(name: str, *tasks: Json, silent: bool = False) -> Json:
    """An action for the Keptn task `test`."""
    events = [{"name": "test.triggered"}]
    return {"name": name, "silent": silent, "events": events, "tasks": list(tasks)}


def task(*cmd: str, name: str = "Do", **more: Any) -> Json:
    """A task that runs a command."""
    return {"name": name, "image": "alpine", "cmd": list(cmd), **more}


class ScriptedEngine(InstantEngine):
    """An engine whose jobs end one after the other as `ends` says, and then well."""

    def __init__(self, *ends: Ended) -> None:
        super().__init__()
        self.ends = list(ends)
        self.deadlines: list[float] = []

    async def launch(self, key: str, work: Work) -> Ended:
        self.deadlines.append(work.deadline)
        await super().launch(key, work)
        return self.ends.pop(0) if self.ends else Ended(0)


class StillClock(FastClock):
    """A clock that only goes on while somebody sleeps; `slept` is how long they did."""

    def __init__(self) -> None:
        super().__init__()
        self.slept = 0.0
        self._begun = super().now()

    def now(self) -> float:
        return self._begun + self.slept + self._skipped

    def tick(self) -> float:
        return self.slept

    async def sleep(self, seconds: float) -> None:
        self.slept += seconds


def reasons(tasks: Sequence[TaskRow]) -> list[str]:
    """Why each attempt ended."""
    return [str(json.loads(one.outcome or "{}").get("reason")) for one in tasks]
