"""When and how many: planning at once, running within the slots, recovery, drain.

What is done for a run stands in `app.planning` and `app.running`; only this room owns tasks.
"""

import asyncio
import logging
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial

from app import log
from app.core import Core
from app.errors import Permanent, Temporary
from app.events import Event, Outcome, errored, parse
from app.keptn import lookup
from app.keptn.api import KeptnApi
from app.ledger import Run, rows
from app.lifecycle import KEPTN
from app.patience import PATIENCE_SECONDS, insist
from app.planning import CLOSED, Decision, Ignore, Planner
from app.running import Errand, Runner, Stopping

PLANNING_AT_ONCE = 64
PAUSE_SECONDS = 5.0
CLOCKS_APART = 10.0
"""Seconds by which Keptn's clock may be ahead of ours."""

STARTED_BEFORE = Ignore(
    "started before",
    "Keptn has a `started` of ours of which this ledger knows nothing: DATA_DIR was lost, or SOURCE"
    " is used twice. It is not run again; abort its sequence, or Keptn waits for ever",
    log=True,
)
_LOG = logging.getLogger(__name__)


@dataclass(eq=False)
class Worker:
    """Drives every open run to its end, as many at a time as there are `slots`.

    Attributes:
        paused: the projects, contexts and stages in which nothing may be launched now.
    """

    core: Core
    api: KeptnApi
    planner: Planner
    runner: Runner
    slots: asyncio.Semaphore
    paused: Collection[tuple[str, str, str]] = ()

    def __post_init__(self) -> None:
        self._planning = asyncio.Semaphore(PLANNING_AT_ONCE)
        self.open: dict[int, asyncio.Task[None]] = {}
        """By number, the runs that are not answered yet."""
        self.running: dict[int, Errand] = {}
        """By number, the runs that hold a slot."""
        self._began = self.core.clock.now()

    def recover(self) -> None:
        """Take up everything the last process left."""
        for run_id, _ in rows.open_runs(self.core.ledger.reader):
            self.take(run_id, restarted=True)

    def take(self, run_id: int, *, restarted: bool = False) -> None:
        """Drive a run from here to its end."""
        drive = self._drive(run_id, restarted=restarted)
        self.open[run_id] = task = asyncio.create_task(drive, name=f"run {run_id}")
        task.add_done_callback(lambda _: self.open.pop(run_id, None))

    async def accept(self, event: Event) -> str:
        """Take an event in, and drive the run that it starts; the verdict of `Lifecycle.accept`."""
        verdict, run_id = await self.core.lifecycle.accept(event)
        if run_id is not None:
            self.take(run_id)
        self.core.metrics.accepted.labels(verdict).inc()
        return verdict

    async def close(self, run_id: int) -> None:
        """Keptn no longer waits for a run: end it, unless it is answered by now."""
        if rows.run(self.core.ledger.reader, run_id).state in ("planned", "running"):
            self.core.metrics.ignored.labels("closed").inc()
            await self.refuse(run_id, CLOSED)

    async def refuse(self, run_id: int, reason: str) -> None:
        """Keptn does not want an answer from us: end what runs, close the run."""
        if errand := self.running.get(run_id):
            await self.runner.cancel(errand, reason)
        if task := self.open.get(run_id):
            task.cancel()
        await self.core.lifecycle.refuse(run_id, reason)

    async def drain(self, seconds: float) -> None:
        """Launch nothing more, and give what runs so many seconds to be answered."""
        self.runner.stopping = True
        deadline = self.core.clock.tick() + seconds
        owed = partial(rows.oldest_letter, self.core.ledger.reader, KEPTN)
        while self.core.clock.tick() < deadline and (self.running or owed() is not None):
            await self.core.clock.sleep(0.05)
        for task in list(self.open.values()):
            task.cancel()
        await asyncio.gather(*self.open.values(), return_exceptions=True)

    async def _drive(self, run_id: int, *, restarted: bool) -> None:
        run = rows.run(self.core.ledger.reader, run_id)
        with log.bound(run=run_id, event=run.event_id, context=run.context):
            try:
                await self._advance(run, restarted=restarted)
            except Stopping:
                pass
            except Exception as error:  # noqa: BLE001 - a fault of ours must not hang a sequence
                _LOG.exception("run failed")
                give_up = partial(self._give_up, run_id, f"internal error: {type(error).__name__}")
                await insist(give_up, self.core.clock)

    async def _advance(self, run: Run, *, restarted: bool) -> None:
        """Do what its state asks for, until there is nothing left to do."""
        while run.state in ("received", "planned", "running"):
            try:
                if run.state == "received":
                    await self._plan(run, restarted=restarted)
                else:
                    await self._perform(run, restarted=restarted)
            except Temporary as error:  # the ledger is full, or an engine is away
                _LOG.warning("run waits", extra={"cause": str(error)})
                await self.core.clock.sleep(error.after or self.core.clock.backoff(4))
                restarted = True
            run = rows.run(self.core.ledger.reader, run.id)

    async def _plan(self, run: Run, *, restarted: bool) -> None:
        """Decide, again and again while Keptn cannot be reached."""
        before_us = run.happened < self._began + CLOCKS_APART
        ask_first = restarted or before_us

        async def decide() -> Decision:
            nonlocal ask_first
            async with self._planning:
                asked, ask_first = ask_first, True
                decision = await self.planner.decide(run, ask_first=asked)
                unheard = isinstance(decision, Ignore) or not before_us
                return decision if unheard or not await self._was_started(run) else STARTED_BEFORE

        try:
            decision = await insist(decide, self.core.clock, PATIENCE_SECONDS)
        except Temporary as error:
            decision = Ignore("unreachable", f"gave up: {error}", log=True)
        await self._enact(run, decision)

    async def _enact(self, run: Run, decision: Decision) -> None:
        now, word, metrics = self.core.clock.now(), "planned", self.core.metrics
        if isinstance(decision, Ignore):
            word = decision.code
            metrics.ignored.labels(word).inc()
            await self.core.lifecycle.ignore(run, decision.reason, log=decision.log)
        elif isinstance(decision, Outcome):
            word = decision.reason
            metrics.answered.labels(decision.status, decision.result, word).inc()
            await self.core.lifecycle.refuse_plan(run, decision)
        else:
            await self.core.lifecycle.plan(run, decision.dump(), answered=decision.answered)
        metrics.plan_seconds.labels(word).observe(max(0.0, now - run.received))
        self.core.tracer.ended("plan", run, run.received, now, decision=word)

    async def _was_started(self, run: Run) -> bool:
        """Whether Keptn has a `started` of ours, of which this ledger knows nothing."""
        try:
            found = await lookup.arrived(self.api, parse.restore(run.event), self.core.source)
        except Permanent:  # nobody can tell
            return False
        return found.started > 0

    async def _perform(self, run: Run, *, restarted: bool) -> None:
        if self.slots.locked():
            await self.core.lifecycle.tell(
                run, "Waiting for a slot: as many run as may (MAX_RUNNING)"
            )
        restarted |= self.slots.locked()  # much can happen to its sequence while it waits
        async with self.slots:
            place = (run.project, run.context, run.stage)
            if run.state == "planned" and place in self.paused:
                raise Temporary("its sequence is paused", after=PAUSE_SECONDS)
            errand = self.running[run.id] = self.runner.begin(run)
            try:
                if restarted and errand.plan.answered:
                    ask = partial(self.api.is_wanted, errand.event)
                    still_open = await insist(ask, self.core.clock)
                    errand.cancelled = "" if still_open else CLOSED
                if errand.cancelled and not errand.done:
                    await self.core.lifecycle.refuse(run.id, CLOSED)
                else:
                    await self.runner.perform(errand)
            finally:
                del self.running[run.id]

    async def _give_up(self, run_id: int, reason: str) -> None:
        """Tell of a fault of ours, and close the run."""
        run = rows.run(self.core.ledger.reader, run_id)
        if run.state == "received":
            await self.core.lifecycle.ignore(run, reason, log=True)
        elif run.state in ("planned", "running"):
            answered = self.runner.begin(run).plan.answered
            await self.core.lifecycle.answer(run, errored("run", reason), answered=answered)
