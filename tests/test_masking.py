"""What the operator's patterns match leaves in no answer, no data, no notice and no log entry."""

import json
from contextlib import closing
from pathlib import Path

import pytest

from app.core import Core
from app.errors import Permanent
from app.events.build import Message, Outcome, errored
from app.events.parse import Event
from app.ledger import rows
from app.ledger.store import Ledger
from app.lifecycle import Lifecycle
from app.masking import MASK, Masks, read
from app.naming import Place
from tests.clocks import FastClock
from tests.conftest import event

MASKS = Masks((r"tok-[\pL\d]+", r"(?i)password=\S+"))


def pattern_file(folder: Path, text: str) -> Path:
    path = folder / "patterns"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("nothing here\n", "nothing here\n"),
        ("a tok-1 and tok-2\n", f"a {MASK} and {MASK}\n"),
        ("PassWord=hunter2 tok-x", f"{MASK} {MASK}"),
        ("ünï tok-ï \ud800", f"ünï {MASK} ?"),
    ],
)
def test_each_match_gives_way_to_the_mask(text: str, left: str) -> None:
    assert MASKS.text(text) == left


def test_texts_are_masked_wherever_they_stand_in_data_and_json_stays_whole() -> None:
    data = {"tok-1": ["tok-2", {"b": 'x "tok-3" y'}], "n": 1.5, "t": True, "z": None}
    masked = MASKS.outcome(Outcome("succeeded", "pass", "tok-4", data=data))
    assert masked.message == MASK
    assert json.loads(json.dumps(masked.data)) == {
        MASK: [MASK, {"b": f'x "{MASK}" y'}],
        "n": 1.5,
        "t": True,
        "z": None,
    }


def test_without_patterns_nothing_is_touched() -> None:
    outcome = Outcome("succeeded", "pass", "\ud800 tok-1")
    assert Masks().outcome(outcome) == outcome
    assert read(None) == Masks()


def test_a_file_has_one_pattern_a_line_and_may_have_remarks(tmp_path: Path) -> None:
    assert read(pattern_file(tmp_path, "# tokens\ntok-\\w+\n\n\\#[0-9]+\n")) == Masks(
        (r"tok-\w+", r"\#[0-9]+")
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("fine\n(\n", ":2: no regular expression (missing ): (); write one RE2 pattern a line"),
        ("(?=x)\n", ":1: no regular expression"),
        ("x*\n", ":1: it matches the empty text, and so everywhere"),
    ],
)
def test_a_bad_pattern_is_refused_with_its_line(tmp_path: Path, text: str, fault: str) -> None:
    path = pattern_file(tmp_path, text)
    with pytest.raises(Permanent) as caught:
        read(path)
    assert str(caught.value).startswith(f"MASK_PATTERNS_FILE {path}{fault}")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Permanent, match=r"MASK_PATTERNS_FILE .*/none cannot be read"):
        read(tmp_path / "none")


def test_a_pattern_that_would_take_others_for_ever_takes_linear_time() -> None:
    assert Masks(("(x+x+)+y",)).text("x" * 200_000) == "x" * 200_000


async def test_what_others_said_is_masked_before_people_hear_of_it(
    tmp_path: Path, clock: FastClock
) -> None:
    heard = list[Event | Message]()

    def announce(told: Event | Message) -> list[tuple[str, str]]:
        heard.append(told)
        return []

    with closing(Ledger(tmp_path)) as ledger:
        life = Lifecycle(ledger, clock, "firstmate", announce)
        life.masks = MASKS
        data = {"project": "p", "stage": "s", "service": "svc", "message": "tok-1"}
        await life.accept(event(type="sh.keptn.event.test.finished", data=data))
    (told,) = heard
    assert isinstance(told, Event)
    assert told.data == {**data, "message": MASK}


async def test_nothing_that_is_written_for_others_holds_a_match(core: Core) -> None:
    life = core.lifecycle
    life.masks = MASKS
    told = Outcome("succeeded", "pass", "message tok-1", data={"key": "tok-2"})
    for name in ("answered", "refused", "ignored"):
        _, run_id = await life.accept(event(id=name))
        assert run_id
        run = rows.run(core.ledger.reader, run_id)
        if name == "answered":
            await life.plan(run, "{}", answered=True)
            row = await life.launch(run, Place(0, 0), "key", "Do")
            await life.end_task(row, told)
            await life.answer(run, told, answered=True)
        elif name == "refused":
            await life.refuse_plan(run, errored("config", "line 3: tok-3"))
        else:
            await life.ignore(run, "line 4: tok-4", log=True)
    dump = "\n".join(core.ledger.reader.iterdump())
    assert dump.count(MASK) >= 8
    assert "tok-" not in dump
