"""The service's own log: one line a fact, with the run it is about, and never a secret."""

import json
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app import log
from tests.captain import Captain, config
from tests.conftest import connection, document
from tests.ship import CLOUDEVENT, InstantEngine, Ship, eventually

Lines = Callable[[], list[Any]]
LOG = logging.getLogger("tests")


@pytest.fixture
def root() -> Iterator[None]:
    """The root logger as it was, after a test that configures it."""
    logger = logging.getLogger()
    before = logger.handlers[:], logger.level
    yield
    logger.handlers[:] = before[0]
    logger.setLevel(before[1])


def test_a_json_line_holds_what_is_bound_and_what_is_said(
    root: None, capsys: pytest.CaptureFixture[str]
) -> None:
    log.configure("json", "INFO")
    with log.bound(run=5, event="a\nb"), log.bound(context="c"):
        LOG.warning("it is %s", "so", extra={"cause": "that\nis why"})
    LOG.info("later")
    LOG.debug("never")
    first, second = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    del first["time"], second["time"]
    assert first == {
        "level": "warning",
        "logger": "tests",
        "message": "it is so",
        "run": 5,
        "event": "a\nb",
        "context": "c",
        "cause": "that\nis why",
    }
    assert second == {"level": "info", "logger": "tests", "message": "later"}


def test_a_text_line_cannot_be_forged(root: None, capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("text", "INFO")
    with log.bound(event="x\n2023 error forged\x1b[2J"):
        LOG.info("told %s", "a\r\nb")
    (line,) = capsys.readouterr().err.split("\n")[:-1]
    assert line.endswith(r"told a\r\nb  event=x\n2023 error forged\x1b[2J")


@pytest.mark.parametrize("form", ["json", "text"])
def test_an_error_has_its_traceback(
    root: None, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    log.configure(form, "INFO")
    try:
        os.environ["PLANTED"]
    except KeyError:
        LOG.exception("failed")
    written = capsys.readouterr().err
    assert "KeyError: 'PLANTED'" in written
    assert "Traceback" in written


def test_odd_values_are_no_reason_to_fail(root: None, capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("json", "INFO")
    LOG.info("odd", extra={"path": Path("/x"), "surrogate": "\ud800", "set": {1}})
    found = json.loads(capsys.readouterr().err)
    assert (found["path"], found["surrogate"], found["set"]) == ("/x", "\ud800", "{1}")


@pytest.mark.slow
async def test_the_lines_of_a_run_carry_its_event_its_context_and_its_number(
    root: None, capsys: pytest.CaptureFixture[str], start: Callable[..., Ship], captain: Captain
) -> None:
    log.configure("json", "INFO")
    captain.put(config("true"))
    ship = start(engine=InstantEngine(), **connection(captain.keptn, "api"))
    event_id = await captain.trigger(ship.door)
    await captain.wait(event_id)
    await eventually(lambda: not ship.letters(event_id, "log"))
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    notices = [one for one in lines if one["logger"] == "firstmate.notice"]
    assert len(notices) >= 3
    run = ship.run(event_id)
    expected = {"run": run.id, "event": event_id, "context": run.context}
    assert all(expected.items() <= one.items() for one in notices)


@pytest.mark.slow
async def test_no_secret_and_no_event_body_ever_shows(
    root: None,
    capsys: pytest.CaptureFixture[str],
    start: Callable[..., Ship],
    captain: Captain,
    tmp_path: Path,
) -> None:
    log.configure("json", "DEBUG")
    captain.put(config("true"))
    token = tmp_path / "token"
    token.write_text(captain.keptn.token)
    ship = start(
        engine=InstantEngine(),
        door_token="planted-door",
        forward_url="http://user:planted-forward@127.0.0.1:9/hook?key=planted-forward",
        keptn_api_endpoint=captain.keptn.api_url,
        keptn_api_token_file=token,
    )
    replies = []
    for shown in ("planted-wrong", "planted-door"):
        headers = {**CLOUDEVENT, "x-token": shown}
        for body in (b'{"planted-body": 1', json.dumps(document(source="planted-body")).encode()):
            reply = await ship.http.post(ship.door, content=body, headers=headers)
            replies.append(reply.text)
    captain.fault("500", where="resource", times=2)
    captain.fault("500", kind_of_event="started")
    event_id = await captain.trigger("", data={"planted": "planted-body"})
    given = captain.keptn.task(event_id)
    sent = document(
        id=event_id,
        shkeptncontext=given["context"],
        data={"project": captain.project, "stage": "s", "service": "svc", "x": "planted-body"},
    )
    headers = {**CLOUDEVENT, "x-token": "planted-door"}
    await ship.http.post(ship.door, json=sent, headers=headers)
    await ship.until(event_id, "answered")
    token.write_text("planted-api")
    await eventually(lambda: any("status 401" in one.note for one in ship.letters(event_id)))
    token.write_text(captain.keptn.token)
    await captain.wait(event_id)
    figures = (await ship.http.get(f"{ship.ops}/metrics")).text
    notes = [one.note for one in ship.letters(event_id) + ship.letters(event_id, "cloudevent")]
    assert any(notes)
    for text in (capsys.readouterr().err, figures, str(replies), str(notes)):
        assert "planted" not in text
