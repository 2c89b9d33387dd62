"""What each reply, or its absence, means for sending again; and that no error tells a secret."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
import respx

from app import outbound as sending
from app.errors import FirstmateError
from app.outbound import LONGEST_RETRY_AFTER, Mute, NotSent, Outbound, Refused, Unclear

pytestmark = pytest.mark.asyncio(loop_scope="module")
URL = "http://keptn.example/api/v1/event"


async def verdict(outbound: Outbound, reply: httpx.Response | Exception) -> FirstmateError:
    """The error that a reply becomes."""
    with respx.mock:
        respx.post(URL).mock(side_effect=[reply])
        with pytest.raises(FirstmateError) as caught:
            await outbound.request("POST", URL)
    return caught.value


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_any_2xx_is_a_reply(outbound: Outbound, status: int) -> None:
    with respx.mock:
        respx.post(URL).respond(status)
        assert (await outbound.request("POST", URL)).status_code == status


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        *((status, Refused) for status in (400, 404, 405, 409, 410, 413, 414, 415, 422, 431, 501)),
        *((status, NotSent) for status in (301, 302, 401, 403, 407, 418, 421, 429)),
        *((status, Unclear) for status in (502, 503, 504, 507)),
        (500, Mute),
    ],
)
async def test_each_status_has_a_meaning(
    outbound: Outbound, status: int, meaning: type[FirstmateError]
) -> None:
    found = await verdict(outbound, httpx.Response(status))
    assert type(found) is meaning
    assert f"status {status}" in str(found)
    assert getattr(found, "status", status) == status


@pytest.mark.parametrize(
    ("failure", "meaning"),
    [
        (httpx.ConnectError("refused"), NotSent),
        (httpx.ConnectTimeout("slow"), NotSent),
        (httpx.UnsupportedProtocol("ftp"), NotSent),
        (httpx.ReadTimeout("slow"), Unclear),
        (httpx.WriteTimeout("slow"), Unclear),
        (httpx.ReadError("reset"), Unclear),
        (httpx.WriteError("reset"), Unclear),
        (httpx.RemoteProtocolError("gone"), Unclear),
        (httpx.TooManyRedirects("round"), Unclear),
    ],
)
async def test_only_a_request_that_surely_never_left_counts_as_not_sent(
    outbound: Outbound, failure: Exception, meaning: type[FirstmateError]
) -> None:
    assert type(await verdict(outbound, failure)) is meaning


@pytest.mark.parametrize(
    ("status", "said", "waits"),
    [
        (429, "7", 7.0),
        (429, "0.5", 0.5),
        (503, "12", 12.0),
        (429, "100000", LONGEST_RETRY_AFTER),
        (429, "inf", LONGEST_RETRY_AFTER),
        (429, "-5", 0.0),
        (429, "nan", 0.0),
        (429, "Wed, 21 Oct 2015 07:28:00 GMT", None),
        (429, "", None),
        (401, "999", 10.0),
        (403, "999", 10.0),
    ],
)
async def test_retry_after_is_heeded_within_bounds(
    outbound: Outbound, status: int, said: str, waits: float | None
) -> None:
    reply = httpx.Response(status, headers={"retry-after": said})
    assert getattr(await verdict(outbound, reply), "after", None) == waits


async def test_keptns_own_words_stand_in_the_error(outbound: Outbound) -> None:
    reply = httpx.Response(400, json={"code": 400, "message": "data.stage is missing"})
    assert str(await verdict(outbound, reply)) == (
        "keptn.example:http /api/v1/event: status 400 (data.stage is missing)"
    )


async def test_a_500_in_keptns_own_words_is_as_unclear_as_others(outbound: Outbound) -> None:
    found = await verdict(outbound, httpx.Response(500, json={"code": 500, "message": "no commit"}))
    assert type(found) is Unclear


@pytest.mark.parametrize("body", ["<html>" * 99, "[]", '{"message": 5}', "", "{"])
async def test_any_other_body_stays_out_of_the_error(outbound: Outbound, body: str) -> None:
    found = await verdict(outbound, httpx.Response(500, text=body))
    assert str(found) == "keptn.example:http /api/v1/event: status 500"


@pytest.mark.parametrize("reply", [httpx.Response(500), httpx.ConnectError("planted")])
async def test_no_error_tells_a_secret(
    outbound: Outbound, reply: httpx.Response | Exception
) -> None:
    with respx.mock:
        respx.post(host="keptn.example").mock(side_effect=[reply])
        with pytest.raises(FirstmateError) as caught:
            await outbound.request(
                "POST",
                "http://user:planted@keptn.example:8080/api?token=planted#planted",
                headers={"x-token": "planted"},
                params={"key": "planted"},
                content="planted",
            )
    assert "planted" not in f"{caught.value} {caught.value!r}"
    assert str(caught.value).startswith("keptn.example:8080 /api: ")


@pytest.mark.parametrize("url", ["http://[", "http://a b/", "http://x:99999/", "nonsense"])
async def test_a_url_that_is_none_is_an_error_like_others(outbound: Outbound, url: str) -> None:
    with pytest.raises(FirstmateError):
        await outbound.request("GET", url)


@asynccontextmanager
async def answering(head: str, parts: int, part: bytes) -> AsyncIterator[tuple[str, list[int]]]:
    """A server with one answer, in parts; its URL, and the bytes that it got rid of."""
    told = [0]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(f"HTTP/1.1 {head}\r\ncontent-length: {parts * len(part)}\r\n\r\n".encode())
            for _ in range(parts):
                writer.write(part)
                await writer.drain()
                told[0] += len(part)
        except ConnectionError:
            pass  # the other side has heard enough
        finally:
            writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/x", told


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> int:
    """The longest reply that is read, small enough for tests."""
    monkeypatch.setattr(sending, "LONGEST_REPLY", 100_000)
    return 100_000


async def test_a_reply_up_to_the_limit_is_read_whole(outbound: Outbound, short: int) -> None:
    async with answering("200 OK", 10, bytes(short // 10)) as (url, _):
        assert (await outbound.request("GET", url)).content == bytes(short)


async def test_a_longer_reply_is_refused_and_not_read_to_its_end(
    outbound: Outbound, short: int
) -> None:
    async with answering("200 OK", 1000, bytes(short)) as (url, told):
        with pytest.raises(Refused, match=r"/x: the reply is longer than 100000 bytes$"):
            await outbound.request("GET", url)
    assert told[0] < 500 * short


async def test_an_answer_that_was_taken_counts_however_much_is_said_to_it(
    outbound: Outbound, short: int
) -> None:
    async with answering("200 OK", 20, bytes(short)) as (url, _):
        assert (await outbound.request("POST", url, content="{}")).status_code == 200


async def test_the_status_of_a_longer_reply_still_means_what_it_means(
    outbound: Outbound, short: int
) -> None:
    async with answering("503 Away", 20, bytes(short)) as (url, _):
        with pytest.raises(Unclear, match=r"status 503$"):
            await outbound.request("GET", url)
