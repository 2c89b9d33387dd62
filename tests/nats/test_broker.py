"""The connection itself, at a real nats-server that is killed, started again, and flooded."""

import asyncio
import contextlib
import logging
import shutil
import subprocess
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.js.api import DiscardPolicy

from app.clock import Clock
from app.keptn import nats
from app.keptn.nats import Broker
from app.outbound import NotSent
from tests.nats.server import NatsServer
from tests.ship import eventually
from tests.strict.broker import STREAM, SUBJECTS

pytestmark = pytest.mark.slow

TYPE = "sh.keptn.event.test.finished"
NKEY = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4"
Receive = Callable[[bytes], Awaitable[None]]


class Impatient(Clock):
    first_delay, longest_delay = 0.05, 0.2


@asynccontextmanager
async def client(server: NatsServer) -> AsyncIterator[Client]:
    """Somebody else at the server."""
    other = Client()
    await other.connect(server.url, allow_reconnect=False)
    yield other
    await other.close()


async def flush(other: Client) -> None:
    """Have it at the server: this client's first ping overtakes what was published before."""
    for _ in range(2):
        await other.flush()


async def stored(server: NatsServer) -> int:
    """How many events the stream holds."""
    async with client(server) as other:
        return int((await other.jetstream().stream_info(STREAM)).state.messages)


async def make_stream(server: NatsServer) -> None:
    """As Keptn's controller makes it: its name and its subjects."""
    async with client(server) as other:
        await other.jetstream().add_stream(name=STREAM, subjects=[SUBJECTS])


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., Awaitable[Broker]]]:
    """Brokers that are connected, each with what it is to do with an event."""
    async with AsyncExitStack() as stack:

        async def begin(url: str, receive: Receive | None = None) -> Broker:
            broker = Broker([url], None, "firstmate", Impatient())
            life = asyncio.create_task(broker.run(receive or ignore))

            async def end() -> None:
                life.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await life

            stack.push_async_callback(end)
            await eventually(lambda: broker.connected)
            return broker

        yield begin


async def ignore(_: bytes) -> None:
    pass


def publish(broker: Broker) -> Awaitable[bool]:
    return broker.publish(TYPE, "{}", str(uuid.uuid4()))


async def test_without_a_stream_nothing_is_published(
    plain: NatsServer, server: NatsServer, connect: Callable[..., Awaitable[Broker]]
) -> None:
    heard: list[bytes] = []

    async def receive(body: bytes) -> None:
        heard.append(body)

    for one in (plain, server):
        assert await publish(await connect(one.url, receive)) is False
    await asyncio.sleep(0.1)
    assert heard == []


async def test_a_stream_made_later_is_found(
    server: NatsServer, connect: Callable[..., Awaitable[Broker]]
) -> None:
    broker = await connect(server.url)
    assert await publish(broker) is False
    await make_stream(server)
    assert await publish(broker) is True
    assert await stored(server) == 1


async def test_the_stream_keeps_one_of_an_event_that_was_published_twice(
    server: NatsServer, connect: Callable[..., Awaitable[Broker]]
) -> None:
    await make_stream(server)
    for broker in (await connect(server.url), await connect(server.url)):
        assert await broker.publish(TYPE, "{}", "the same")
    assert await stored(server) == 1


async def test_without_a_connection_nothing_is_sent() -> None:
    with pytest.raises(NotSent, match="NATS: no connection"):
        await publish(Broker(["nats://127.0.0.1:9"], None, "firstmate", Clock()))


async def test_a_stream_that_is_full_is_no_place_for_an_event(
    server: NatsServer, connect: Callable[..., Awaitable[Broker]]
) -> None:
    async with client(server) as other:
        await other.jetstream().add_stream(
            name=STREAM, subjects=[SUBJECTS], max_msgs=1, discard=DiscardPolicy.NEW
        )
    broker = await connect(server.url)
    assert await publish(broker)
    with pytest.raises(NotSent, match="NATS: the stream takes nothing"):
        await publish(broker)


async def test_every_event_is_stored_once_though_the_server_is_killed(
    server: NatsServer, connect: Callable[..., Awaitable[Broker]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nats, "ACK_SECONDS", 0.5)
    await make_stream(server)
    broker, number = await connect(server.url), 0

    async def insist() -> None:
        nonlocal number
        while number < 3000:
            number += 1
            name = str(number)
            while True:
                with contextlib.suppress(NotSent):
                    assert await broker.publish(TYPE, "{}", name)
                    break
                await asyncio.sleep(0.02)

    publishing = [asyncio.create_task(insist()) for _ in range(32)]
    for _ in range(3):
        before = number
        await eventually(lambda before=before: number > before + 300)
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)
    await asyncio.gather(*publishing)
    assert await stored(server) == number


async def test_events_flow_again_after_the_server_was_killed_and_what_was_missed_is_told(
    server: NatsServer, connect: Callable[..., Awaitable[Broker]]
) -> None:
    heard: list[bytes] = []
    missed: list[bool] = []

    async def receive(body: bytes) -> None:
        heard.append(body)

    broker = await connect(server.url, receive)
    broker.missed = lambda: missed.append(broker.connected)
    for round_ in range(1, 4):
        await asyncio.to_thread(server.kill)
        await eventually(lambda: not broker.connected)
        await asyncio.to_thread(server.start)
        await eventually(lambda: broker.connected)
        assert missed[-1]
        async with client(server) as other:
            await other.publish("sh.keptn.event.test.triggered", b"%d" % round_)
        await eventually(lambda round_=round_: len(heard) == round_)
    assert heard == [b"1", b"2", b"3"]


async def test_services_of_one_name_share_the_events(
    plain: NatsServer, connect: Callable[..., Awaitable[Broker]]
) -> None:
    heard: list[bytes] = []

    async def receive(body: bytes) -> None:
        heard.append(body)

    for _ in range(2):
        await connect(plain.url, receive)
    async with client(plain) as other:
        for number in range(100):
            await other.publish("sh.keptn.event.test.triggered", b"%d" % number)
        await flush(other)
    await eventually(lambda: len(heard) >= 100)
    assert sorted(heard, key=int) == [b"%d" % number for number in range(100)]


async def test_a_flood_is_told_and_takes_no_more_memory_than_was_set_aside(
    plain: NatsServer, connect: Callable[..., Awaitable[Broker]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nats, "WAITING_BYTES", 100_000)
    gate, heard, missed = asyncio.Event(), list[int](), list[bool]()

    async def receive(body: bytes) -> None:
        await gate.wait()
        heard.append(len(body))

    broker = await connect(plain.url, receive)
    broker.missed = lambda: missed.append(True)
    async with client(plain) as other:
        for _ in range(5000):
            await other.publish("sh.keptn.event.test.triggered", b"x" * 1000)
        await flush(other)
        await eventually(lambda: len(missed) > 3800)
        gate.set()
        await broker.drain()
    assert nats.WAITING <= len(heard) < 1200
    assert len(heard) + len(missed) == 5000


async def test_what_came_is_handed_on_before_it_ends_and_nothing_comes_then(
    plain: NatsServer, connect: Callable[..., Awaitable[Broker]]
) -> None:
    heard: list[bytes] = []

    async def receive(body: bytes) -> None:
        await asyncio.sleep(0.01)
        heard.append(body)

    broker = await connect(plain.url, receive)
    async with client(plain) as other:
        for number in range(500):
            await other.publish("sh.keptn.event.test.triggered", b"%d" % number)
        await flush(other)
        await broker.drain()
        assert len(heard) == 500
        await other.publish("sh.keptn.event.test.triggered", b"late")
        await flush(other)
    await asyncio.sleep(0.1)
    assert len(heard) == 500
    assert broker.connected


async def test_the_user_in_the_url_is_heeded_and_the_password_is_told_to_nobody(
    connect: Callable[..., Awaitable[Broker]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with NatsServer(None, "--user", "captain", "--pass", "planted@1/2") as server:
        place = server.url.removeprefix("nats://")
        await connect(f"nats://captain:planted%401%2F2@{place}")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await connect(f"nats://captain:planted-too@{place}")
    assert "NATS is away" in caplog.text
    assert "planted" not in caplog.text


@pytest.fixture
def certificate(tmp_path: Path) -> str:
    """The file of a certificate for this machine that only its owner trusts; its key is beside."""
    if not shutil.which("openssl"):
        pytest.skip("openssl makes the certificate")
    made = f"openssl req -x509 -nodes -newkey rsa:2048 -keyout {tmp_path}/key -out {tmp_path}/cert"
    alone = "-subj /CN=server -addext subjectAltName=IP:127.0.0.1"
    subprocess.run([*made.split(), *alone.split()], check=True, capture_output=True)
    return f"{tmp_path}/cert"


async def test_a_server_is_believed_by_its_certificate_only(
    connect: Callable[..., Awaitable[Broker]],
    certificate: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    files = ("--tlscert", certificate, "--tlskey", f"{tmp_path}/key")
    with NatsServer(None, "--tls", *files) as server:
        for url in (server.url, server.url.replace("nats:", "tls:")):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await connect(url)
        monkeypatch.setenv("SSL_CERT_FILE", certificate)
        for url in (server.url, server.url.replace("nats:", "tls:")):
            await connect(url)


async def test_credentials_that_cannot_be_read_are_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "users").write_text(f"authorization {{users = [{{nkey: {NKEY}}}]}}")
    with NatsServer(None, "--config", str(tmp_path / "users")) as server:
        broker = Broker([server.url], tmp_path / "absent.creds", "firstmate", Impatient())
        life = asyncio.create_task(broker.run(ignore))
        await eventually(lambda: "NATS is away" in caplog.text)
        await asyncio.sleep(0.3)
        assert not life.done()
        life.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await life
