"""Whom we trust to be Keptn, and which way we take to it: certificates and proxies."""

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app import settings
from app.errors import Permanent
from app.outbound import NotSent, Outbound
from tests.ship import Ship

pytestmark = pytest.mark.slow

OPENSSL = shutil.which("openssl")
needs_openssl = pytest.mark.skipif(not OPENSSL, reason="no openssl to make a certificate with")
REPLY = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for the name localhost, and no other, with its key in the same file."""
    file = tmp_path_factory.mktemp("tls") / "keptn.pem"
    made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    out = ["-keyout", str(file), "-out", f"{file}.crt"]
    subprocess.run([str(OPENSSL), *made.split(), *names, *out], check=True, capture_output=True)
    file.write_text(file.read_text() + Path(f"{file}.crt").read_text())
    return file


@asynccontextmanager
async def listening(certificate: Path | None = None) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that says yes to everything: its port, and the first lines it was sent."""
    lines: list[bytes] = []
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            lines.append((await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")[0])
            writer.write(REPLY)
            await writer.drain()
        finally:
            writer.close()

    async with await asyncio.start_server(answer, "localhost", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1], lines


@asynccontextmanager
async def sending(ca_file: Path | None = None, *, verify: bool = True) -> AsyncIterator[Outbound]:
    outbound = Outbound(ca_file, verify=verify)
    yield outbound
    await outbound.close()


@needs_openssl
async def test_a_keptn_whose_ca_nobody_named_gets_nothing(certificate: Path) -> None:
    async with listening(certificate) as (port, lines), sending() as outbound:
        with pytest.raises(NotSent, match="its certificate is not trusted"):
            await outbound.request("GET", f"https://localhost:{port}/api")
        assert not lines


@needs_openssl
async def test_a_ca_of_ones_own_is_trusted_and_only_for_its_names(certificate: Path) -> None:
    async with listening(certificate) as (port, lines), sending(certificate) as outbound:
        await outbound.request("GET", f"https://localhost:{port}/api")
        with pytest.raises(NotSent, match="its certificate is not trusted"):
            await outbound.request("GET", f"https://127.0.0.1:{port}/api")
        assert len(lines) == 1


@needs_openssl
async def test_who_opts_out_trusts_everybody(certificate: Path) -> None:
    async with listening(certificate) as (port, lines), sending(verify=False) as outbound:
        await outbound.request("GET", f"https://127.0.0.1:{port}/api")
        assert len(lines) == 1


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_a_file_without_certificates_is_an_error_at_the_start(
    tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(Permanent, match=r"ca.pem: no certificates can be read"):
        Outbound(file)


@pytest.mark.parametrize("word", ["false", "0", "False"])
async def test_the_opt_out_is_job_executors_and_ready_tells_of_it(
    start: Callable[..., Ship], monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    monkeypatch.setenv("HTTP_SSL_VERIFY", word)
    ship = start()
    said = await ship.http.get(f"{ship.ops}/ready")
    assert said.status_code == 200
    assert said.json() == {"status": "OK", "tls": settings.UNVERIFIED}


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_keptn_is_reached_through_the_proxy_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    async with listening() as (port, lines), sending() as outbound:
        monkeypatch.setenv(f"{scheme.upper()}_PROXY", f"http://localhost:{port}")
        asked = outbound.request("GET", f"{scheme}://keptn.example/api")
        if scheme == "http":
            await asked
        else:
            with pytest.raises(NotSent):  # who took the call was no proxy
                await asked
    first = {"http": b"GET http://keptn.example/api ", "https": b"CONNECT keptn.example:443 "}
    assert lines[0].startswith(first[scheme])


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_this_machine_is_reached_directly(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    async with listening() as (port, lines), listening() as (proxy, others), sending() as outbound:
        for name in ("HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://localhost:{proxy}")
        await outbound.request("GET", f"http://{host}:{port}/event")
        assert (len(lines), len(others)) == (1, 0)
