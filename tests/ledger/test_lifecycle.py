"""The transitions of a run: each from where it may come only, each with what it owes, in one go."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from app.clock import Clock
from app.core import Core
from app.events.build import Message, Outcome, errored
from app.events.parse import Event
from app.ledger import outbox, rows
from app.ledger.rows import Letter, Run
from app.ledger.store import Ledger
from app.lifecycle import TRANSITIONS, Lifecycle
from app.naming import Place
from tests.clocks import FastClock
from tests.conftest import event

PASS = Outcome("succeeded", "pass", "fine")
DAY = 86_400
WAYS = {
    "received": [],
    "ignored": ["ignored"],
    "planned": ["planned"],
    "running": ["planned", "running"],
    "answered": ["planned", "running", "answered"],
    "refused": ["planned", "refused"],
}


class Harbour:
    """A ledger, and what is asked of it in these tests."""

    def __init__(self, core: Core) -> None:
        self.ledger: Ledger = core.ledger
        self.life: Lifecycle = core.lifecycle
        self._places = 0

    def places(self) -> int:
        self._places += 1
        return self._places

    async def accept(self, **more: Any) -> Run:
        _, run_id = await self.life.accept(event(**more))
        assert run_id is not None
        return self.run(run_id)

    def run(self, run_id: int) -> Run:
        return rows.run(self.ledger.reader, run_id)

    async def at(self, state: str, **more: Any) -> Run:
        """A run that came to this state, as it was when it was accepted."""
        run = await self.accept(**more)
        for step in WAYS[state]:
            await STEPS[step](self, run)
        assert self.run(run.id).state == state
        return run

    def letters(self, run: Run) -> list[Letter]:
        return rows.letters(self.ledger.reader, run.id)

    async def deliver(self, run: Run) -> None:
        """Settle all messages of a run."""
        for letter in self.letters(run):
            await self.ledger.write(lambda db, one=letter.id: outbox.change(db, one, state="done"))  # type: ignore[misc]

    async def prune(self, now: float, runs: float = 7 * DAY, ids: float = 35 * DAY) -> list[str]:
        return await self.ledger.write(lambda db: outbox.prune(db, now - runs, now - ids, 500))


Step = Callable[[Harbour, Run], Awaitable[Any]]
STEPS: dict[str, Step] = {
    "ignored": lambda here, run: here.life.ignore(run, "why"),
    "planned": lambda here, run: here.life.plan(run, "{}", answered=True),
    "running": lambda here, run: here.life.launch(run, Place(0, here.places()), "key", "Do"),
    "answered": lambda here, run: here.life.answer(run, PASS, answered=True),
    "refused": lambda here, run: here.life.refuse(run.id, "unwanted"),
}


@pytest.fixture
def harbour(core: Core) -> Harbour:
    return Harbour(core)


@pytest.mark.parametrize("state", WAYS)
async def test_a_state_comes_only_from_where_it_may(harbour: Harbour, state: str) -> None:
    for target, step in STEPS.items():
        run = await harbour.at(state, id=target)
        before = (harbour.run(run.id), harbour.letters(run))
        if state in TRANSITIONS[target]:
            await step(harbour, run)
            assert harbour.run(run.id).state == target
        else:
            with pytest.raises(RuntimeError, match=f"cannot become {target}"):
                await step(harbour, run)
            assert (harbour.run(run.id), harbour.letters(run)) == before


async def test_an_event_is_taken_once_whoever_asks(harbour: Harbour) -> None:
    run = await harbour.accept()
    assert await harbour.life.accept(event()) == ("duplicate", None)
    assert await harbour.life.accept(event(type="sh.keptn.event.other.triggered")) == (
        "duplicate",
        None,
    )
    assert await harbour.life.accept(event(id="x", type="com.example")) == ("foreign", None)
    assert [one for one, _ in rows.open_runs(harbour.ledger.reader)] == [run.id]


async def test_a_reopened_ledger_knows_every_event_and_goes_on(
    tmp_path: Path, clock: FastClock
) -> None:
    for number in range(3):
        ledger = Ledger(tmp_path)
        life = Lifecycle(ledger, clock, "firstmate")
        verdict, _ = await life.accept(event())
        assert verdict == ("duplicate" if number else "new")
        assert [state for _, state in rows.open_runs(ledger.reader)] == ["received"]
        ledger.close()


async def test_planned_owes_started_and_answered_owes_finished(harbour: Harbour) -> None:
    run = await harbour.at("answered")
    letters = harbour.letters(run)
    assert [(one.kind, one.state, one.destination) for one in letters] == [
        ("started", "ready", "keptn"),
        ("finished", "ready", "keptn"),
    ]
    types = [json.loads(one.body)["type"].rpartition(".")[2] for one in letters]
    assert types == ["started", "finished"]
    due = rows.due_letters(harbour.ledger.reader, "keptn", run.changed + 1, 9)
    assert [one.kind for one in due] == ["started"]


async def test_a_silent_run_owes_nothing(harbour: Harbour) -> None:
    run = await harbour.accept()
    await harbour.life.plan(run, "{}", answered=False)
    await harbour.life.answer(run, PASS, answered=False)
    assert (harbour.run(run.id).state, harbour.letters(run)) == ("answered", [])


async def test_a_plan_that_is_refused_at_once_owes_both(harbour: Harbour) -> None:
    run = await harbour.accept()
    await harbour.life.refuse_plan(run, errored("config", "broken"))
    assert [one.kind for one in harbour.letters(run)] == ["started", "finished"]
    assert harbour.run(run.id).state == "answered"


async def test_an_ignored_run_keeps_its_reason_and_owes_a_log_entry_if_told(
    harbour: Harbour,
) -> None:
    quiet, told = await harbour.accept(id="quiet"), await harbour.accept(id="told")
    await harbour.life.ignore(quiet, "not ours")
    await harbour.life.ignore(told, "broken", log=True)
    assert (harbour.run(quiet.id).reason, harbour.letters(quiet)) == ("not ours", [])
    (letter,) = harbour.letters(told)
    (entry,) = json.loads(letter.body)["logs"]
    assert (letter.kind, entry["message"], entry["triggeredid"]) == ("log", "broken", "told")


async def test_a_refused_run_drops_what_is_still_owed(harbour: Harbour) -> None:
    run = await harbour.at("answered")
    first = harbour.letters(run)[0]
    await harbour.ledger.write(lambda db: outbox.change(db, first.id, state="refused", note="no"))
    await harbour.life.refuse(run.id, "unwanted")
    assert [one.state for one in harbour.letters(run)] == ["refused", "dropped"]
    await harbour.ledger.write(
        lambda db: outbox.change(db, first.id + 1, state="ready", note="late")
    )
    assert harbour.letters(run)[1].state == "dropped"
    assert not await harbour.ledger.write(
        lambda db: outbox.change(db, first.id + 1, state="sending")
    )


async def test_a_started_in_doubt_owes_one_more_finished_before_and_after_the_answer(
    harbour: Harbour,
) -> None:
    run = await harbour.at("planned")
    await harbour.life.owe_another(run.id)
    await harbour.life.answer(run, PASS, answered=True)
    await harbour.life.owe_another(run.id)
    bodies = [json.loads(one.body) for one in harbour.letters(run) if one.kind == "finished"]
    assert harbour.run(run.id).owed == len(bodies) == 3
    assert len({body["id"] for body in bodies}) == 3
    assert [body["data"] for body in bodies] == [bodies[0]["data"]] * 3


async def test_people_are_owed_what_is_announced_of_each_event_that_comes_or_goes(
    tmp_path: Path, clock: Clock
) -> None:
    def announce(told: Event | Message) -> list[tuple[str, str]]:
        return [("channel", told.type.rpartition(".")[2])]

    ledger = Ledger(tmp_path)
    life = Lifecycle(ledger, clock, "firstmate", announce)
    _, run_id = await life.accept(event())
    assert run_id is not None
    run = rows.run(ledger.reader, run_id)
    await life.plan(run, "{}", answered=True)
    await life.launch(run, Place(0, 0), "key", "Do")
    await life.answer(run, PASS, answered=True)
    await life.accept(event(id="heard", type="sh.keptn.event.other.finished"))
    await life.accept(event(id="ours", source="firstmate", type="sh.keptn.event.test.finished"))
    sql = "SELECT body FROM outbox WHERE destination = 'channel' ORDER BY id"
    told = [body for (body,) in ledger.reader.execute(sql)]
    assert told == ["triggered", "started", "finished", "finished"]
    ledger.close()


async def test_an_old_run_is_forgotten_but_its_event_is_not_taken_again(
    harbour: Harbour, clock: FastClock
) -> None:
    run = await harbour.at("answered")
    await harbour.deliver(run)
    now = clock.now()
    assert await harbour.prune(now) == []
    assert await harbour.prune(now + 8 * DAY) == ["key"]
    assert rows.run_of_event(harbour.ledger.reader, run.event_id) is None
    tombstone = rows.tombstone(harbour.ledger.reader, run.event_id)
    assert tombstone is not None
    assert tombstone["outcome"] == "answered"
    assert (await harbour.life.accept(event()))[0] == "duplicate"
    await harbour.prune(now + 36 * DAY)
    assert (await harbour.life.accept(event()))[0] == "new"


@pytest.mark.parametrize("state", ["received", "planned", "running"])
async def test_an_open_run_is_never_forgotten(
    harbour: Harbour, clock: FastClock, state: str
) -> None:
    run = await harbour.at(state)
    await harbour.prune(clock.now() + 1000 * DAY)
    assert harbour.run(run.id).state == state
    assert (await harbour.life.accept(event()))[0] == "duplicate"


async def test_a_run_that_still_owes_a_message_is_never_forgotten(
    harbour: Harbour, clock: FastClock
) -> None:
    run = await harbour.at("answered")
    await harbour.prune(clock.now() + 1000 * DAY)
    assert len(harbour.letters(run)) == 2
