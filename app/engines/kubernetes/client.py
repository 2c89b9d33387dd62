"""The port to a cluster: the only module that imports `kubernetes.aio`; swap it to swap the client.

Which calls are made, and when again, is decided elsewhere; only a refused token is read again here.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio import client as api

from app.clock import Clock
from app.engines.kubernetes.port import Expired, Missing, Object, Rejected, Taken, Where
from app.errors import Temporary
from app.outbound import CONNECT_SECONDS, REPLY_SECONDS, UNAUTHORIZED_SECONDS, json_object

WATCH_SECONDS, SILENT_SECONDS = 240, 100.0
"""The server ends a watch after so long; one without even a bookmark, of which there is one a
minute, is taken for dead."""

CALLS, CONNECTIONS = 32, 128
"""Calls at the same time; the other connections are for watches and for logs that are followed."""

LONGEST_RETRY_AFTER = 60.0
PAGE_OBJECTS = "500"
REFUSALS: dict[int, type[Rejected]] = {HTTPStatus.NOT_FOUND: Missing, HTTPStatus.CONFLICT: Taken}


class Cluster:
    """The Kubernetes API at a URL; every call may raise `Temporary` or `Rejected`.

    It is signed by those in the CA file, and our token is in a file, too. All who deal with it go
    by its `clock`.
    """

    def __init__(
        self, clock: Clock, url: str, ca_file: Path | None = None, token_file: Path | None = None
    ) -> None:
        settings: Any = api.Configuration(host=url)
        settings.ssl_ca_cert = ca_file and str(ca_file)
        settings.connection_pool_maxsize = CONNECTIONS
        settings.client_session_kwargs = {"trust_env": False}  # it stands behind no proxy
        self._client: Any = api.ApiClient(settings)
        self.clock, self._url, self._token_file = clock, url, token_file
        self._slots = asyncio.Semaphore(CALLS)

    async def create(self, where: Where, body: Object) -> Object:
        """Make an object; `Taken` when one of that name is there."""
        return await self._call("POST", _path(where), body)

    async def delete(self, where: Where, name: str) -> None:
        """Remove an object, and what belongs to it in the background; none there is fine."""
        with contextlib.suppress(Missing):
            await self._call("DELETE", _path(where, name), {"propagationPolicy": "Background"})

    async def pages(self, where: Where) -> AsyncIterator[Object]:
        """All objects, as lists of some hundred with `items` and `metadata`.

        It waits for no turn: what it brings is what everybody waits for.
        """
        more: str | None = ""
        while more is not None:
            path = _path(where, limit=PAGE_OBJECTS, **{"continue": more})
            async with self._opened("GET", path) as reply:
                page = json.loads(await reply.read())
            yield page
            more = page["metadata"].get("continue") or None

    async def all(self, where: Where) -> list[Object]:
        """All objects at once, when its turn comes."""
        async with self._slots:
            return [found async for page in self.pages(where) for found in page["items"]]

    async def watch(self, where: Where, version: str) -> AsyncGenerator[Object, None]:
        """Changes after a version, bookmarks among them, until the server ends it; or `Expired`."""
        extent = {"resourceVersion": version, "timeoutSeconds": str(WATCH_SECONDS)}
        path = _path(where, watch="1", allowWatchBookmarks="true", **extent)
        async with self._opened("GET", path, silence=SILENT_SECONDS) as reply:
            async for line in reply.content:
                change = json.loads(line)
                if change["type"] == "ERROR":
                    raise _failure(change["object"].get("code", 0), change["object"], {})
                yield change

    async def log(self, where: Where, pod: str, **query: str) -> AsyncGenerator[bytes, None]:
        """A container's log as it is on the node; with `follow`, as it grows."""
        silence = None if "follow" in query else REPLY_SECONDS
        path = _path(where, f"{pod}/log", **query)
        async with self._opened("GET", path, silence=silence) as reply:
            async for chunk in reply.content.iter_any():
                yield chunk

    async def close(self) -> None:
        """Close every connection."""
        await self._client.close()

    async def _call(self, method: str, path: str, body: Object | None = None) -> Object:
        async with self._slots, self._opened(method, path, body) as reply:
            return dict(json.loads(await reply.read()))

    @contextlib.asynccontextmanager
    async def _opened(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        silence: float | None = REPLY_SECONDS,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The reply to a request, when it is a 2xx; `silence` is how long it may pause."""
        url = self._url + path
        limit = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=silence)
        try:
            sent = await self._client.rest_client.request(
                method, url, headers=self._headers(), body=body, _request_timeout=limit
            )
            async with sent.response as reply:
                if not reply.ok:
                    said = json_object(await reply.read()) or {}  # a proxy may have sent anything
                    raise _failure(reply.status, said, reply.headers)
                yield reply
        except (aiohttp.ClientError, OSError, ValueError) as error:
            what = f"{method} {path.partition('?')[0]}"
            raise Temporary(f"{what}: {type(error).__name__}") from None

    def _headers(self) -> dict[str, str]:
        """With the token as its file has it now: the cluster changes it every hour."""
        known = {"Accept": "application/json", "User-Agent": "firstmate"}
        if self._token_file:
            known["Authorization"] = f"Bearer {self._token_file.read_text().strip()}"
        return known


def _path(where: Where, name: str = "", **query: str) -> str:
    labels = ",".join(f"{key}={text}" if text else key for key, text in where.labels.items())
    query |= {} if name else {"labelSelector": labels, "fieldSelector": where.fields}
    asked = urlencode({key: text for key, text in query.items() if text})
    return where.kind.format(where.namespace) + f"/{name}" * bool(name) + f"?{asked}" * bool(asked)


def _failure(status: int, said: Object, headers: Mapping[str, str]) -> Temporary | Rejected:
    text = " ".join(str(said.get("message") or f"status {status}").split())[:1000]
    if status == HTTPStatus.GONE:
        return Expired(text)
    if status == HTTPStatus.UNAUTHORIZED:
        return Temporary(text, after=UNAUTHORIZED_SECONDS)
    if 0 < status < HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.TOO_MANY_REQUESTS:
        return REFUSALS.get(status, Rejected)(text, status)
    asked = headers.get("Retry-After", "")
    return Temporary(text, min(float(asked), LONGEST_RETRY_AFTER) if asked.isdecimal() else None)
