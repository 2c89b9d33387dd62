"""A whole service and its channels: what it tells to whom, and that it tells no URL to anybody."""

import asyncio
import json
import logging
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.cli import main, reading
from tests.conftest import document
from tests.notices.conftest import write
from tests.notices.receiver import Receiver, Reply
from tests.notices.test_notifiers import CHANNELS, FAILURES, PLANTED
from tests.ship import Ship, eventually

pytestmark = pytest.mark.slow

NOWHERE = {"keptn_distributor_url": "http://127.0.0.1:9"}
"""A Keptn that is away: what comes in at the door is told all the same."""


def routed(tmp_path: Path, receiver: Receiver, text: str) -> Path:
    """A file of routes, with a channel `chat` that leads to the receiver."""
    secret = write(tmp_path / "url", receiver.url)
    channel = f"channels: [{{name: chat, urlFrom: {{file: {secret}}}}}]"
    return write(tmp_path / "routes.yaml", f"apiVersion: firstmate/v1\n{channel}\n{text}\n")


async def test_a_services_files_pages_and_commands_do_not_tell_a_url(
    start: Callable[..., Ship],
    receiver: Receiver,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secret = write(tmp_path / "url", receiver.url)
    kinds = "".join(
        f"- {{name: c{number}, kind: {kind}, format: {more.get('format', 'json')},"
        f" urlFrom: {{file: {secret}}}}}\n"
        for number, (kind, more) in enumerate(CHANNELS)
    )
    everywhere = ", ".join(f"c{number}" for number in range(len(CHANNELS)))
    text = f"apiVersion: firstmate/v1\nchannels:\n{kinds}routes: [{{channels: [{everywhere}]}}]\n"
    file = write(tmp_path / "routes.yaml", text)
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore"):  # as `log.configure` has it
        logging.getLogger(name).setLevel(logging.WARNING)
    receiver.replies = FAILURES * 5
    ship = start(**NOWHERE, routes_file=file)
    for number in range(10):
        await ship.post(document(id=f"e{number}", type="com.example", shkeptncontext=str(number)))
    await eventually(lambda: not receiver.replies, 20)
    await asyncio.sleep(0.2)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    text = "\n".join(reading.runs(ignored=True, follow=False, as_json=False))
    text += "".join(
        reading.why(f"e{number}", as_json=as_json)
        for number in range(10)
        for as_json in (True, False)
    )
    assert ": dead (c" in text, "no error was told, so none could have told the URL"
    text += (await ship.http.get(f"{ship.ops}/metrics")).text + caplog.text
    text += "".join(
        one.read_bytes().decode("latin-1") for one in (tmp_path / "data").glob("ledger*")
    )
    assert not any(word in text for word in PLANTED)


async def test_events_of_others_are_told_and_our_own_echoes_are_not(
    start: Callable[..., Ship], receiver: Receiver, tmp_path: Path
) -> None:
    file = routed(tmp_path, receiver, "routes: [{channels: [chat]}]")
    ship = start(**NOWHERE, routes_file=file)
    kind = "sh.keptn.event.test.finished"
    await ship.post(document(id="echo", type=kind, source="firstmate"))
    for _ in range(2):
        other = document(id="other", type=kind, source="somebody")
        assert (await ship.post(other)).status_code == 202
    await ship.post(document(id="order"))
    await eventually(lambda: len(receiver.taken) == 2)
    await asyncio.sleep(0.1)
    assert sorted(one["id"] for one in receiver.bodies) == ["order", "other"]


async def test_routes_that_change_are_followed_without_a_restart(
    start: Callable[..., Ship], receiver: Receiver, tmp_path: Path
) -> None:
    file = routed(tmp_path, receiver, "routes: []")
    ship = start(**NOWHERE, routes_file=file)
    await ship.post(document(id="before", type="com.example"))
    routed(tmp_path, receiver, "routes: [{channels: [chat]}]")

    async def is_told() -> bool:
        await ship.post(document(id=f"after {uuid.uuid4()}", type="com.example"))
        return len(receiver.taken) >= 1

    await eventually(is_told)
    assert all(one["id"].startswith("after") for one in receiver.bodies)


async def test_a_dead_channel_does_not_keep_a_service_from_ending(
    start: Callable[..., Ship], receiver: Receiver, tmp_path: Path
) -> None:
    receiver.choose = lambda: Reply(500, takes=False)
    file = routed(tmp_path, receiver, "routes: [{channels: [chat]}]")
    ship = start(**NOWHERE, routes_file=file, drain_seconds=3000)
    await ship.post(document(type="com.example"))
    await eventually(lambda: receiver.asked > 0)
    async with asyncio.timeout(10):
        await ship.stop()


def notify(channel: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    """Exit code and output of `firstmate notify test`."""
    monkeypatch.setenv("ROUTES_FILE", str(tmp_path / "routes.yaml"))
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    result = CliRunner().invoke(main, ["notify", "test", channel])
    return result.exit_code, result.output.strip()


def test_a_channel_can_be_tried(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    routed(tmp_path, receiver, "")
    assert notify("chat", tmp_path, monkeypatch) == (0, "chat: taken (status 200)")
    assert receiver.bodies[0]["line"] == "sample/dev/carts: test finished pass"
    receiver.replies = [Reply(404, takes=False, body=json.dumps({"message": "planted"}).encode())]
    assert notify("chat", tmp_path, monkeypatch) == (1, "firstmate: chat: status 404")
    said = "firstmate: there is no channel 'chap'; there are: chat"
    assert notify("chap", tmp_path, monkeypatch) == (1, said)


def test_broken_routes_are_told_by_their_places(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = routed(tmp_path, receiver, "routs: []")
    code, said = notify("chat", tmp_path, monkeypatch)
    assert (code, said.startswith(f"firstmate: {file}:3:1: routs: unknown key")) == (1, True)
