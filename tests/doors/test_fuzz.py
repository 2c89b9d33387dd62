"""Nothing that is sent to the door makes it fail, and it answers on after all of it."""

import asyncio
import uuid
from urllib.parse import urlsplit

import pytest

from app.events import parse
from tests.conftest import document
from tests.doors import corpus
from tests.ship import Ship

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]
REFUSED = {400, 403, 413, 415}


async def status(ship: Ship, request: bytes, *, hang_up: bool = False) -> int:
    """The status of the answer to these bytes; 0 when there is none."""
    place = urlsplit(ship.door)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    writer.write(request)
    if hang_up:
        writer.write_eof()
    line = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return int(line.split()[1]) if line else 0


def request(headers: dict[str, str], body: bytes, event_id: str) -> bytes:
    """A whole request; no two share an id, so that each goes all the way to the disk."""
    own = {name: value.replace("fuzz", event_id) for name, value in headers.items()}
    own |= {"host": "localhost", "content-length": ""}
    body = body.replace(b'"id": "fuzz"', b'"id": "%s"' % event_id.encode())
    own["content-length"] = str(len(body))
    head = "".join(f"{name}: {value}\r\n" for name, value in own.items())
    return b"POST / HTTP/1.1\r\n" + head.encode("latin-1") + b"\r\n" + body


async def lives(ship: Ship) -> bool:
    return (await ship.post(document(id=str(uuid.uuid4())))).status_code == 202


async def test_no_body_makes_the_door_fail(ship: Ship) -> None:
    for name, body in corpus.BODIES.items():
        for mode, headers in {"structured": corpus.JSON, "binary": corpus.BINARY}.items():
            got = await status(ship, request(headers, body, f"{name}, {mode}"))
            assert got in REFUSED | {202}, (name, mode)
    assert await lives(ship)


async def test_no_header_makes_the_door_fail(ship: Ship) -> None:
    for name, headers in corpus.HEADERS.items():
        for body in (corpus.GOOD, corpus.DATA, b""):
            got = await status(ship, request(headers, body, name))
            assert got in REFUSED | {202}, (name, body)
    assert await lives(ship)


async def test_no_bytes_make_the_door_fail(ship: Ship) -> None:
    for name, whole in corpus.RAW.items():
        assert await status(ship, whole, hang_up=True) in REFUSED | {0, 202, 405}, name
        assert await lives(ship), name


async def test_a_sender_that_hangs_up_harms_nobody(ship: Ship) -> None:
    whole = request(corpus.JSON, corpus.GOOD, "half")
    for length in range(0, len(whole), 16):
        await status(ship, whole[:length], hang_up=True)
    assert await lives(ship)


async def test_whatever_was_accepted_can_be_read_again(ship: Ship) -> None:
    accepted = [
        await status(ship, request(corpus.JSON, body, f"again {name}")) == 202
        for name, body in corpus.BODIES.items()
    ]
    runs = [run for run in ship.runs() if run.event]
    assert len(runs) > sum(accepted) / 2
    for run in runs:
        assert parse.restore(run.event).id == run.event_id
