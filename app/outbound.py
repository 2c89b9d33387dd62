"""The one way out to the network: time limits, and what each reply means for sending again.

The caller says what to send, never how often; nothing of a header or a body gets into an error.
"""

import json
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import httpx

from app.errors import Permanent, Temporary

CONNECT_SECONDS = 5.0
REPLY_SECONDS = 30.0
"""As long as Keptn's own proxies wait for what is behind them."""

LONGEST_REPLY = 20 * 1024 * 1024
"""Bytes, far more than the largest file that a Keptn project should hold."""

LONGEST_RETRY_AFTER = 300.0
UNAUTHORIZED_SECONDS = 10.0
DIRECT = dict.fromkeys(("all://127.0.0.1", "all://localhost", "all://[::1]"))
"""What is on this machine is reached directly, whatever proxy the environment names."""

_UNAUTHORIZED = (401, 403)
_NO_PATH = re.compile(r"path \S+ was not found|page not found")
"""Of a router that has no such path, which is no word on what was asked for."""

_AT_FAULT = (400, 404, 405, 409, 410, 413, 414, 415, 422, 431, 501)


class NotSent(Temporary):
    """The request surely had no effect; the whole destination is in trouble, not this message."""


class Unclear(Temporary):
    """The request may or may not have had its effect."""


class Mute(Unclear):
    """A 500 without a message: so a distributor answers what it, or Keptn behind it, declines."""


class Refused(Permanent):
    """The receiver understood the request and will not have it."""

    def __init__(self, message: str, status: int, *, explained: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.explained = explained
        """Whether the reply had a message in Keptn's form, so that it is Keptn who refuses."""

    @property
    def unserved(self) -> bool:
        """Whether nobody serves this call there: a wrong address, or one that is not ready yet."""
        return self.status in (404, 405, 501) and not self.explained


@dataclass(frozen=True, slots=True)
class SecretUrl:
    """A URL that nobody may read: errors name its owner instead, and nothing that the peer said."""

    owner: str
    url: str = field(repr=False)


class Outbound:
    """Clients for everything that goes out, one for each request that is on its way.

    One for all would look at each of its connections again and again for every request.
    Certificates are those that this machine trusts and those of `ca_file`; without `verify` any.

    Raises:
        Permanent: `ca_file` holds no certificates.
    """

    def __init__(self, ca_file: Path | None = None, *, verify: bool = True) -> None:
        self._idle: list[httpx.AsyncClient] = []
        self._client = partial(
            httpx.AsyncClient,
            timeout=httpx.Timeout(REPLY_SECONDS, connect=CONNECT_SECONDS, pool=None),
            verify=_trusted(ca_file, verify=verify),
            mounts=DIRECT,
        )

    async def request(
        self,
        method: str,
        url: str | SecretUrl,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        content: str | None = None,
    ) -> httpx.Response:
        """The status and content of the reply, when it is a 2xx.

        Raises:
            NotSent: no connection, not authorised, or told to come later.
            Unclear: the connection broke, no reply came in time, or a server failed.
            Refused: the request itself is at fault, there is nothing (404), or what was asked for
                is too long; where something was handed over, only the status counts.
        """
        target, place = url.url if isinstance(url, SecretUrl) else url, _place(url)
        client = self._idle.pop() if self._idle else self._client()
        try:
            async with client.stream(
                method, target, headers=headers, params=params, content=content
            ) as reply:
                said = await _beginning(reply)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol) as error:
            distrust = "CERTIFICATE_VERIFY_FAILED" in str(error)
            why = "its certificate is not trusted" if distrust else type(error).__name__
            raise NotSent(f"{place}: no connection ({why})") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unclear(f"{place}: no reply ({type(error).__name__})") from None
        finally:
            self._idle.append(client)
        _judge(reply, place, "" if isinstance(url, SecretUrl) else _message(said))
        if method == "GET" and len(said) > LONGEST_REPLY:
            what = f"the reply is longer than {LONGEST_REPLY} bytes"
            raise Refused(f"{place}: {what}", reply.status_code)
        return httpx.Response(reply.status_code, content=said)

    async def close(self) -> None:
        """Close every connection."""
        for client in self._idle:
            await client.aclose()


@cache
def _trusted(ca_file: Path | None, *, verify: bool) -> ssl.SSLContext:
    """Whom to trust; reading it takes longer than all else that a client needs."""
    context = ssl.create_default_context()
    if ca_file:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:  # also what OpenSSL says of a file without certificates
            raise Permanent(f"{ca_file}: no certificates can be read ({error.strerror})") from None
    if not verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def _beginning(reply: httpx.Response) -> bytes:
    """The content, or so much of it that it is seen to be too long."""
    content = bytearray()
    async for part in reply.aiter_bytes():
        content += part
        if len(content) > LONGEST_REPLY:
            break
    return bytes(content)


def _judge(reply: httpx.Response, place: str, message: str) -> None:
    """Raise what a reply means that is no 2xx."""
    status = reply.status_code
    if reply.is_success:
        return
    text = f"{place}: status {status}{message}"
    if status in _AT_FAULT:
        raise Refused(text, status, explained=bool(message) and not _NO_PATH.search(message))
    after = UNAUTHORIZED_SECONDS if status in _UNAUTHORIZED else _retry_after(reply)
    if not reply.is_server_error:
        raise NotSent(text, after=after)
    mute = status == httpx.codes.INTERNAL_SERVER_ERROR and not message
    raise (Mute if mute else Unclear)(text, after=after)


def _retry_after(reply: httpx.Response) -> float | None:
    try:  # 0.0 stands first: it wins against a NaN
        return min(max(0.0, float(reply.headers.get("retry-after", ""))), LONGEST_RETRY_AFTER)
    except ValueError:
        return None


def _message(content: bytes) -> str:
    """The message of Keptn's error body, which never repeats a secret of ours."""
    found = (json_object(content) or {}).get("message")
    return f" ({found[:200]})" if isinstance(found, str) else ""


def json_object(content: bytes) -> dict[str, Any] | None:
    """The JSON object that a reply holds; None when it holds something else."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _place(url: str | SecretUrl) -> str:
    """Host and path without what may hold a secret: user, query and long path parts."""
    if isinstance(url, SecretUrl):
        return url.owner
    target = httpx.URL(url)
    return f"{target.host}:{target.port or target.scheme} {target.path[:80]}"
