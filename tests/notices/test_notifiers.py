"""What every notifier promises: its URL stays a secret, and a message that comes again is known."""

import json
import logging
import traceback
from pathlib import Path
from typing import Any

import pytest

from app import log
from app.errors import FirstmateError
from app.events import parse
from app.notifiers import notice, webhook
from app.outbound import NotSent
from app.routes import read
from tests.conftest import document, event
from tests.notices.conftest import Make, write
from tests.notices.receiver import SECRET_PATH, Receiver, Reply

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]
CHANNELS: list[tuple[str, dict[str, str]]] = [("log", {}), ("cloudevent", {})] + [
    ("webhook", {"format": name}) for name in webhook.PLATFORMS
]
ECHO = json.dumps({"message": f"no route {SECRET_PATH} planted-token"}).encode()
FAILURES = [
    *(Reply(status, takes=False, body=ECHO) for status in (302, 400, 401, 403, 404, 410, 429, 500)),
    Reply(302, takes=False, headers=(("location", "/planted-token"),)),
    Reply(0, takes=False),
]
LETTER = notice.of(event(), "").model_dump_json()
PLANTED = ("planted", "PLANTED")


@pytest.mark.parametrize(("kind", "more"), CHANNELS)
async def test_no_error_tells_the_url(
    make: Make, receiver: Receiver, kind: str, more: dict[str, Any]
) -> None:
    notifier = make(kind, **more)
    assert not any(word in repr(notifier) for word in PLANTED)
    for reply in FAILURES:
        receiver.replies = [reply]
        if kind == "log":
            await notifier.deliver(LETTER, 0)
            continue
        with pytest.raises(FirstmateError) as caught:
            await notifier.deliver(LETTER, 0)
        told = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
        assert not any(word in told for word in PLANTED)
        assert "chat: " in str(caught.value)
    assert receiver.taken == []


@pytest.mark.parametrize("url", ["", "planted", "http://", "ftp://planted/x", "http://planted x/"])
async def test_a_url_that_is_none_is_not_told_either(
    make: Make, receiver: Receiver, url: str
) -> None:
    receiver.url = url
    with pytest.raises(NotSent, match=r"^chat: HOOK holds no URL$"):
        await make().deliver(LETTER, 0)


async def test_the_url_is_read_again_for_each_message(
    receiver: Receiver, tmp_path: Path, make: Make
) -> None:
    file = write(tmp_path / "url", "\n")
    (channel,) = read(
        f"apiVersion: firstmate/v1\nchannels: [{{name: chat, urlFrom: {{file: {file}}}}}]"
    ).channels
    notifier = webhook.WebhookNotifier(channel, make().outbound, {})
    with pytest.raises(NotSent, match=f"^chat: {file} holds no URL$"):
        await notifier.deliver(LETTER, 0)
    write(file, f"{receiver.url}\n")
    assert await notifier.deliver(LETTER, 0) == "status 200"
    file.unlink()
    with pytest.raises(NotSent):
        await notifier.deliver(LETTER, 0)


@pytest.mark.parametrize(("kind", "more"), CHANNELS[1:])
async def test_a_message_that_comes_again_can_be_known(
    make: Make, receiver: Receiver, kind: str, more: dict[str, Any]
) -> None:
    letters = []
    for one in (event(id="ü\n1"), event(id="2")):
        told = notice.of(one, "").model_dump_json()
        letters.append(parse.stored(one) if kind == "cloudevent" else told)
    notifier = make(kind, **more)
    for letter in (letters[0], letters[0], letters[1]):
        await notifier.deliver(letter, 0)
    known = [one.headers.get("idempotency-key") or one.body["id"] for one in receiver.taken]
    assert known[0] == known[1] != known[2]


async def test_an_event_is_forwarded_as_it_is_and_missed_ones_are_told(
    make: Make, receiver: Receiver
) -> None:
    body = json.dumps(document(), indent=3)
    await make("cloudevent").deliver(body, 0)
    await make("cloudevent").deliver(body, 4)
    assert receiver.bodies == [document(), document()]
    assert receiver.taken[0].headers["content-type"] == "application/cloudevents+json"
    assert [one.headers.get("x-missed") for one in receiver.taken] == [None, "4"]


async def test_a_line_of_the_log_tells_what_the_others_tell(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        await make("log", name="lines").deliver(LETTER, 2)
    (line,) = caplog.records
    assert line.message == "p/s/svc: test triggered (2 earlier messages could not be delivered)"
    assert log.fields(line)["channel"] == "lines"


async def test_a_letter_of_another_kind_is_an_error_of_its_own(make: Make) -> None:
    with pytest.raises(ValueError, match="Notice"):
        await make("webhook").deliver(parse.stored(event()), 0)
