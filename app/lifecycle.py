"""The transitions of a run: each is one function and one transaction that also writes what it owes.

Nothing here waits for the network or decides what a job config means.
"""

import json
import logging
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import asdict, astuple, dataclass, field, replace
from functools import cached_property

from app import boundaries
from app.clock import Clock
from app.events import Event, Message, Outcome, build, errored, parse
from app.ledger import Ledger, Run, TaskRow, outbox, rows
from app.masking import Masks
from app.naming import Place

KEPTN = "keptn"
"""The destination of answers; every other destination is a notifier's name."""

TELLING_SECONDS = 1.0
"""The least time between two messages of progress, of whatever runs."""

TRANSITIONS = {
    "received": (),
    "ignored": ("received",),
    "planned": ("received",),
    "running": ("planned", "running"),
    "answered": ("planned", "running"),
    "refused": ("planned", "running", "answered"),
}
"""State -> the states it can come from."""

Announce = Callable[[Event | Message], Iterable[tuple[str, str]]]
"""The letters, as (destination, body), that people get of an event; pure, from any thread."""

_NOTICES = logging.getLogger("firstmate.notice")


@dataclass(eq=False)
class Lifecycle:
    """The only writer of runs.

    Attributes:
        masks: what every outcome and reason goes through before it is written.
        wake: called after a transition that wrote messages.
        integration: our id at Keptn's Uniform, once it is known, for log entries.
        logs_errors: whether the Uniform log gets errored answers from us, not from a distributor.
        tells_progress: false once Keptn has declined a `status.changed`.
    """

    ledger: Ledger
    clock: Clock
    source: str
    announce: Announce = lambda _: ()
    masks: Masks = field(default_factory=Masks)
    wake: Callable[[], None] = lambda: None
    integration: str = ""
    logs_errors: bool = False
    tells_progress: bool = True
    _told: float = 0.0

    async def accept(self, event: Event) -> tuple[str, int | None]:
        """Take an event.

        Returns:
            ("new", the run's number), or "duplicate" or "foreign" and None: nothing is to be done.
        """
        now, ours = self.clock.now(), event.source == self.source
        reason = "" if event.task or (event.tells and not ours) else "not a task's triggered event"
        if event.task and not build.answerable(event, self.source):
            reason = "its identity and labels leave no room for an answer"
        told = () if ours else tuple(self.announce(self.masks.event(event)))

        def transact(db: sqlite3.Connection) -> int | None:
            run_id = _insert(db, event, reason, now)
            if told and run_id is not None:
                _Step(self, db, rows.run(db, run_id), now).notify(told)
            return run_id

        run_id = await self.ledger.write(transact, urgent=False)
        boundaries.reached("accept committed")
        if told:
            self.wake()
        if reason or run_id is None:
            return "duplicate" if run_id is None else "foreign", None
        return "new", run_id

    async def mark(self, name: str, at: float, *, urgent: bool = True) -> None:
        """Note how far something was read; see `rows.mark`."""
        sql = "INSERT OR REPLACE INTO marks VALUES (?, ?)"
        await self.ledger.write(lambda db: db.execute(sql, (name, at)).rowcount, urgent=urgent)

    async def ignore(self, run: Run, reason: str, *, log: bool = False) -> None:
        """End a run in silence, keeping the reason; `log` also tells it to Keptn's Uniform log."""
        reason = self.masks.text(reason)

        def transact(step: _Step) -> None:
            step.move("ignored", reason=reason, event=run.event if log else "")
            if log:
                step.log(reason)

        await self._change(run, transact)

    async def plan(self, run: Run, plan: str, *, answered: bool) -> None:
        """Pin what will be done and, unless all of it is silent, owe Keptn a `started`."""

        def transact(step: _Step) -> None:
            step.move("planned", plan=plan)
            if answered:
                step.start()

        await self._change(run, transact, "planned")
        boundaries.reached("plan committed")

    async def refuse_plan(self, run: Run, outcome: Outcome) -> None:
        """Answer an event that is ours but cannot be done: started and finished, nothing run."""
        outcome = self.masks.outcome(outcome)

        def transact(step: _Step) -> None:
            step.move("planned")
            step.start()
            step.end(outcome, answered=True)

        await self._change(run, transact, f"answered {outcome.status} {outcome.result}")

    async def launch(self, run: Run, place: Place, key: str, name: str) -> TaskRow:
        """Say, before it is done, that a task is about to be launched under this key."""
        row = TaskRow(run.id, *place, key, name, self.clock.now(), None, None)

        def transact(db: sqlite3.Connection) -> None:
            _Step(self, db, run, row.launched).move("running")
            db.execute("INSERT INTO tasks VALUES (?,?,?,?,?,?,?,?,?)", astuple(row))

        await self.ledger.write(transact)
        boundaries.reached("launch committed")
        _say(run, f"running {name}")
        return row

    async def tell(self, run: Run, words: str) -> None:
        """Owe Keptn a `status.changed` of a run that it heard of; at most one a second of all."""
        now, letters = self.clock.now(), rows.letters(self.ledger.reader, run.id)
        heard = any(letter.kind == "started" for letter in letters)
        if not (heard and self.tells_progress) or abs(now - self._told) < TELLING_SECONDS:
            return
        self._told, event = now, parse.restore(run.event)
        body = build.changed(event, self.source, now, self.masks.text(words)).body
        await self._change(run, lambda step: step.post(KEPTN, "changed", body))

    async def end_task(self, row: TaskRow, outcome: Outcome) -> TaskRow:
        """Keep how an attempt at a task ended."""
        text = json.dumps(asdict(self.masks.outcome(outcome)))
        row = replace(row, ended=self.clock.now(), outcome=text)
        sql = "UPDATE tasks SET ended = ?, outcome = ? WHERE run = ? AND key = ?"
        values = (row.ended, row.outcome, row.run, row.key)
        await self.ledger.write(lambda db: db.execute(sql, values).rowcount)
        return row

    async def answer(self, run: Run, outcome: Outcome, *, answered: bool) -> None:
        """End a run with its outcome and, unless it was silent, owe Keptn the `finished`."""
        outcome = self.masks.outcome(outcome)
        said = f"answered {outcome.status} {outcome.result}" if answered else "ended silently"
        await self._change(run, lambda step: step.end(outcome, answered=answered), said)

    async def refuse(self, run_id: int, reason: str) -> None:
        """Close a run that Keptn does not want from us: what is still owed is dropped."""

        def transact(step: _Step) -> None:
            step.move("refused", reason=reason)
            outbox.drop(step.db, run_id, KEPTN, reason)

        run = rows.run(self.ledger.reader, run_id)
        await self._change(run, transact, f"refused: {reason}")

    async def owe_another(self, run_id: int, owed: int | None = None) -> None:
        """Note that one more `started` of this run has arrived, or may have.

        Keptn waits for as many `finished` as it counted `started`, and ignores one too many.
        `owed` is how many were owed when this was seen: who sees it second changes nothing.
        """

        def transact(step: _Step) -> None:
            sql = "UPDATE runs SET owed = owed + 1 WHERE id = ? AND owed = coalesce(?, owed)"
            changed = step.db.execute(sql, (run_id, owed)).rowcount
            run = rows.run(step.db, run_id)
            if changed and run.state == "answered" and run.outcome:
                step.finish(Outcome(**json.loads(run.outcome)), run.owed - 1)

        await self._change(rows.run(self.ledger.reader, run_id), transact)

    async def answer_plainly(self, run_id: int, reason: str) -> None:
        """Owe Keptn, once, an answer without all that the one had which it refused."""

        def transact(step: _Step) -> None:
            sent = sum(one.kind == "finished" for one in rows.letters(step.db, run_id))
            if sent == step.run.owed:
                step.finish(errored("refused", f"Keptn refused the answer: {reason}"), sent)

        await self._change(rows.run(self.ledger.reader, run_id), transact)

    async def _change(self, run: Run, transact: Callable[["_Step"], None], said: str = "") -> None:
        """Take a step in one transaction; `said` tells it in the log, once it is on disk."""
        now = self.clock.now()
        await self.ledger.write(lambda db: transact(_Step(self, db, run, now)))
        if said:
            _say(run, said)
        self.wake()


@dataclass(frozen=True)
class _Step:
    """What one transaction does to a run, and what it owes to others for it."""

    life: Lifecycle
    db: sqlite3.Connection
    run: Run
    now: float

    @cached_property
    def event(self) -> Event:
        return parse.restore(self.run.event)

    def move(self, state: str, **columns: str) -> None:
        """Change the run's state, from where it may come only."""
        sources = TRANSITIONS[state]
        names = "".join(f", {name} = ?" for name in columns)
        moved = self.db.execute(
            f"UPDATE runs SET state = ?, changed = ?{names} WHERE id = ?"  # noqa: S608 - own names
            f" AND state IN ({','.join('?' * len(sources))})",
            (state, self.now, *columns.values(), self.run.id, *sources),
        )
        if not moved.rowcount:
            raise RuntimeError(f"run {self.run.id} cannot become {state}: it is not in {sources}")

    def start(self) -> None:
        self.owe(build.started(self.event, self.life.source, self.now))

    def end(self, outcome: Outcome, *, answered: bool) -> None:
        self.move("answered", outcome=json.dumps(asdict(outcome)))
        for copy in range(rows.run(self.db, self.run.id).owed if answered else 0):
            self.finish(outcome, copy)
        if answered and outcome.status == "errored" and self.life.logs_errors:
            self.log(outcome.message)

    def finish(self, outcome: Outcome, copy: int) -> None:
        message = build.finished(self.event, self.life.source, self.now, outcome, copy)
        self.owe(message, again=copy > 0)

    def owe(self, message: Message, *, again: bool = False) -> None:
        """Owe Keptn the message and, unless it is one more of a kind, people what routes say."""
        self.post(KEPTN, message.type.rpartition(".")[2], message.body)
        if not again:
            self.notify(self.life.announce(message))

    def notify(self, letters: Iterable[tuple[str, str]]) -> None:
        for destination, body in letters:
            self.post(destination, "notice", body)

    def log(self, message: str) -> None:
        """Owe Keptn's Uniform log an entry, which the Bridge shows beside the integration."""
        entry = {
            "integrationid": self.life.integration or self.life.source,
            "message": message,
            "time": build.timestamp(self.now),
            "shkeptncontext": self.run.context,
            "task": self.event.task,
            "triggeredid": self.run.event_id,
            "gitcommitid": self.event.gitcommitid,
        }
        self.post(KEPTN, "log", json.dumps({"logs": [entry]}))

    def post(self, destination: str, kind: str, body: str) -> None:
        self.db.execute(
            "INSERT INTO outbox (run, destination, kind, body, state, attempts, due, written, note)"
            " VALUES (?, ?, ?, ?, 'ready', 0, 0, ?, '')",
            (self.run.id, destination, kind, body, self.now),
        )


def _say(run: Run, phase: str) -> None:
    """A line of the log for a transition that is on disk; a crash in between may cost it."""
    task = run.type.split(".")[3]
    _NOTICES.info("%s/%s/%s: %s %s", run.project, run.stage, run.service, task, phase)


def _insert(db: sqlite3.Connection, event: Event, reason: str, now: float) -> int | None:
    if db.execute("SELECT 1 FROM seen WHERE event_id = ?", (event.id,)).fetchone():
        return None
    state, stored = ("ignored", "") if reason else ("received", parse.stored(event))
    scope = [event.named(key) for key in ("project", "stage", "service")]
    times = (build.seconds(event.time) or now, now, now)
    new = db.execute(
        "INSERT INTO runs (event_id, state, reason, type, context, project, stage, service, event,"
        " happened, received, changed) VALUES (?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING",
        (event.id, state, reason, event.type, event.shkeptncontext, *scope, stored, *times),
    )
    return new.lastrowid if new.rowcount else None
