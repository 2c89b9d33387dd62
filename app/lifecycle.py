"""The transitions of a run: each is one function and one transaction that also writes what it owes.

Nothing here waits for the network or decides what a job config means.
"""

import json
import logging
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace

from app import boundaries
from app.clock import Clock
from app.events import build, parse
from app.events.build import Message, Outcome
from app.events.parse import Event
from app.ledger import rows
from app.ledger.rows import Run, TaskRow
from app.ledger.store import Ledger
from app.masking import Masks
from app.naming import Place

KEPTN = "keptn"
"""The destination of answers; every other destination is a notifier's name."""

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


class Lifecycle:
    """The only writer of runs."""

    def __init__(
        self, ledger: Ledger, clock: Clock, source: str, announce: Announce = lambda _: ()
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._source = source
        self._announce = announce
        self.wake: Callable[[], None] = lambda: None
        """Called after a transition that wrote messages."""
        self.masks = Masks()
        """What every outcome and reason goes through before it is written."""

    async def accept(self, event: Event) -> tuple[str, int | None]:
        """Take an event.

        Returns:
            ("new", the run's number), or "duplicate" or "foreign" and None: nothing is to be done.
        """
        now, ours = self._clock.now(), event.source == self._source
        reason = "" if event.task or (event.tells and not ours) else "not a task's triggered event"
        if event.task and not build.answerable(event, self._source):
            reason = "its identity and labels leave no room for an answer"
        told = () if ours else tuple(self._announce(self.masks.event(event)))

        def transact(db: sqlite3.Connection) -> int | None:
            run_id = _insert(db, event, reason, now)
            for destination, body in told if run_id is not None else ():
                _post(db, run_id, destination, "notice", body, now)
            return run_id

        run_id = await self._ledger.write(transact, urgent=False)
        boundaries.reached("accept committed")
        if told:
            self.wake()
        if reason or run_id is None:
            return "duplicate" if run_id is None else "foreign", None
        return "new", run_id

    async def mark(self, name: str, at: float) -> None:
        """Note how far something was read; see `rows.mark`."""
        sql = "INSERT OR REPLACE INTO marks VALUES (?, ?)"
        await self._ledger.write(lambda db: db.execute(sql, (name, at)).rowcount)

    async def ignore(self, run: Run, reason: str, *, log: bool = False) -> None:
        """End a run in silence, keeping the reason; `log` also tells it to Keptn's Uniform log."""
        now, reason = self._clock.now(), self.masks.text(reason)

        def transact(db: sqlite3.Connection) -> None:
            _move(db, run.id, "ignored", now, reason=reason, event=run.event if log else "")
            if log:
                _post(db, run.id, KEPTN, "log", _log_entry(run, self._source, reason, now), now)

        await self._ledger.write(transact)
        self.wake()

    async def plan(self, run: Run, plan: str, *, answered: bool) -> None:
        """Pin what will be done and, unless all of it is silent, owe Keptn a `started`."""
        event, now = parse.restore(run.event), self._clock.now()

        def transact(db: sqlite3.Connection) -> None:
            _move(db, run.id, "planned", now, plan=plan)
            if answered:
                self._send(db, run, build.started(event, self._source, now), now)

        await self._ledger.write(transact)
        boundaries.reached("plan committed")
        _say(run, "planned")
        self.wake()

    async def refuse_plan(self, run: Run, outcome: Outcome) -> None:
        """Answer an event that is ours but cannot be done: started and finished, nothing run."""
        event, now = parse.restore(run.event), self._clock.now()
        outcome = self.masks.outcome(outcome)

        def transact(db: sqlite3.Connection) -> None:
            _move(db, run.id, "planned", now)
            self._send(db, run, build.started(event, self._source, now), now)
            _move(db, run.id, "answered", now, outcome=json.dumps(asdict(outcome)))
            self._answer(db, run, event, outcome, now)

        await self._ledger.write(transact)
        _say(run, f"answered {outcome.status} {outcome.result}")
        self.wake()

    async def launch(self, run: Run, place: Place, key: str, name: str) -> TaskRow:
        """Say, before it is done, that a task is about to be launched under this key."""
        row = TaskRow(run.id, *place, key, name, self._clock.now(), None, None)

        def transact(db: sqlite3.Connection) -> None:
            _move(db, run.id, "running", row.launched)
            db.execute(
                "INSERT INTO tasks (run, action, task, attempt, key, name, launched)"
                " VALUES (?,?,?,?,?,?,?)",
                (run.id, *place, key, name, row.launched),
            )

        await self._ledger.write(transact)
        boundaries.reached("launch committed")
        _say(run, f"running {name}")
        return row

    async def end_task(self, row: TaskRow, outcome: Outcome) -> TaskRow:
        """Keep how an attempt at a task ended."""
        text = json.dumps(asdict(self.masks.outcome(outcome)))
        row = replace(row, ended=self._clock.now(), outcome=text)
        sql = "UPDATE tasks SET ended = ?, outcome = ? WHERE run = ? AND key = ?"
        values = (row.ended, row.outcome, row.run, row.key)
        await self._ledger.write(lambda db: db.execute(sql, values).rowcount)
        return row

    async def answer(self, run: Run, outcome: Outcome, *, answered: bool) -> None:
        """End a run with its outcome and, unless it was silent, owe Keptn the `finished`."""
        event, now = parse.restore(run.event), self._clock.now()
        outcome = self.masks.outcome(outcome)

        def transact(db: sqlite3.Connection) -> None:
            _move(db, run.id, "answered", now, outcome=json.dumps(asdict(outcome)))
            if answered:
                self._answer(db, run, event, outcome, now)

        await self._ledger.write(transact)
        _say(run, f"answered {outcome.status} {outcome.result}" if answered else "ended silently")
        self.wake()

    async def refuse(self, run_id: int, reason: str) -> None:
        """Close a run that Keptn does not want from us: what is still owed is dropped."""
        now = self._clock.now()

        def transact(db: sqlite3.Connection) -> Run:
            _move(db, run_id, "refused", now, reason=reason)
            db.execute(
                "UPDATE outbox SET state = 'dropped', note = ? WHERE run = ? AND destination = ?"
                " AND state IN ('ready', 'sending', 'sent')",
                (reason, run_id, KEPTN),
            )
            return rows.run(db, run_id)

        _say(await self._ledger.write(transact), f"refused: {reason}")
        self.wake()

    async def owe_another(self, run_id: int, owed: int | None = None) -> None:
        """Note that one more `started` of this run has arrived, or may have.

        Keptn waits for as many `finished` as it counted `started`, and ignores one too many.
        `owed` is how many were owed when this was seen: who sees it second changes nothing.
        """
        now = self._clock.now()

        def transact(db: sqlite3.Connection) -> None:
            sql = "UPDATE runs SET owed = owed + 1 WHERE id = ? AND owed = coalesce(?, owed)"
            changed = db.execute(sql, (run_id, owed)).rowcount
            run = rows.run(db, run_id)
            if changed and run.state == "answered" and run.outcome:
                outcome = Outcome(**json.loads(run.outcome))
                event, copy = parse.restore(run.event), run.owed - 1
                message = build.finished(event, self._source, now, outcome, copy)
                self._send(db, run, message, now, again=True)

        await self._ledger.write(transact)
        self.wake()

    def _answer(
        self, db: sqlite3.Connection, run: Run, event: Event, outcome: Outcome, now: float
    ) -> None:
        for copy in range(rows.run(db, run.id).owed):
            message = build.finished(event, self._source, now, outcome, copy)
            self._send(db, run, message, now, again=copy > 0)

    def _send(
        self, db: sqlite3.Connection, run: Run, message: Message, now: float, *, again: bool = False
    ) -> None:
        """Owe Keptn the message and, unless it is one more of a kind, people what routes say."""
        _post(db, run.id, KEPTN, message.type.rpartition(".")[2], message.body, now)
        for destination, body in () if again else self._announce(message):
            _post(db, run.id, destination, "notice", body, now)


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


def _move(db: sqlite3.Connection, run_id: int, state: str, now: float, **columns: str) -> None:
    """Change a run's state, from where it may come only."""
    sources = TRANSITIONS[state]
    names = "".join(f", {name} = ?" for name in columns)
    moved = db.execute(
        f"UPDATE runs SET state = ?, changed = ?{names} WHERE id = ?"  # noqa: S608 - own names
        f" AND state IN ({','.join('?' * len(sources))})",
        (state, now, *columns.values(), run_id, *sources),
    )
    if not moved.rowcount:
        raise RuntimeError(f"run {run_id} cannot become {state}: it is not in {sources}")


def _post(
    db: sqlite3.Connection, run_id: int | None, destination: str, kind: str, body: str, now: float
) -> None:
    db.execute(
        "INSERT INTO outbox (run, destination, kind, body, state, attempts, due, written, note)"
        " VALUES (?, ?, ?, ?, 'ready', 0, 0, ?, '')",
        (run_id, destination, kind, body, now),
    )


def _log_entry(run: Run, source: str, message: str, now: float) -> str:
    """The body of Keptn's log API, which shows it beside the integration in the Bridge."""
    event = parse.restore(run.event)
    entry = {
        "integrationid": source,
        "message": message,
        "time": build.timestamp(now),
        "shkeptncontext": run.context,
        "task": event.task,
        "triggeredid": run.event_id,
        "gitcommitid": event.gitcommitid,
    }
    return json.dumps({"logs": [entry]})
