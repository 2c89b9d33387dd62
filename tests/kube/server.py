"""The double's API: what a kube-apiserver answers to the few calls that count, and its faults."""

import asyncio
import base64
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial

from aiohttp import web

from app.clock import Clock
from tests.kube import access, rules
from tests.kube.plays import NAMESPACED, Controller, Life, Play
from tests.kube.store import Change, Object, Store, selected

TOKEN = "planted-service-account-token"


class Kube:
    """A cluster on loopback."""

    def __init__(self, clock: Clock, nodes: type[Controller] = Controller) -> None:
        self.clock = clock
        self.store = Store(clock.now)
        self.jobs = nodes(self.store, clock)
        self.rights = rules.Rights()
        self.token = TOKEN
        self.calls = Counter[tuple[str, str]]()
        self.refused = Counter[tuple[str, str]]()
        self.bodies: list[Object] = []
        self.made: list[str] = []  # the Jobs, one name for every time that one was created
        self.when_made: Callable[[], None] = lambda: None
        self.validating = True
        # The faults: what the next calls are answered, whose replies are lost, and what watches do.
        self.answers: list[tuple[int, Mapping[str, str]]] = []
        self.every_second: tuple[int, Mapping[str, str]] | None = None  # of each verb and resource
        self.lost_replies = 0
        self.down = False
        self.mute = False
        self.closed: set[str] = set()  # namespaces without our Role
        self.reviewing = True
        self.late = 0.0
        self.watches: set[web.StreamResponse] = set()
        self._transports: set[asyncio.Transport] = set()
        self.url = ""

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Kube"]:
        """Serve on a free port."""
        app = web.Application(client_max_size=1 << 23)
        app.router.add_post(access.REVIEWS, partial(access.review, self))
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
        await site.start()
        self.url = runner.addresses[0] and f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await self.jobs.close()
            self.drop()
            await runner.cleanup()

    def play(self, image: str, play: Play) -> None:
        """How pods with this image fare."""
        self.jobs.plays[image] = play

    def life(self, key: str) -> Life:
        """The Job of a launch key."""
        return self.jobs.lives[f"firstmate-{key}"]

    def all(self, plural: str) -> list[Object]:
        """All objects of a kind."""
        return [found for key, found in self.store.objects.items() if key[0] == plural]

    def secret(self, name: str, namespace: str = "jobs", **values: str) -> None:
        """Have a Secret there, which nobody but the kubelet may read."""
        data = {key: base64.b64encode(text.encode()).decode() for key, text in values.items()}
        metadata = {"name": name, "namespace": namespace}
        self.store.create("secrets", {"kind": "Secret", "metadata": metadata, "data": data})

    def said(self) -> str:
        """All that anybody who may read the namespace, but for its Secrets, could have read."""
        was = [change.object for change in self.store.history if change.plural != "secrets"]
        now = [found for key, found in self.store.objects.items() if key[0] != "secrets"]
        return json.dumps([self.bodies, was, now])

    def drop(self) -> None:
        """Break every connection at once."""
        for transport in self._transports:
            transport.abort()
        self._transports.clear()

    async def outage(self, seconds: float) -> None:
        """Nobody answers for so long."""
        self.down = True
        self.drop()
        await self.clock.sleep(seconds)
        self.down = False

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        transport = request.transport
        assert transport
        if self.down:
            transport.abort()
            return web.Response()
        self._transports.add(transport)
        found = NAMESPACED.fullmatch(request.path)
        if not found:
            return _status(404, "the server could not find the requested resource")
        namespace, plural, name, sub = found.groups()
        verb = _verb(request, name)
        resource = f"{plural}/{sub}" if sub else plural
        self.calls[verb, resource] += 1
        if self.every_second and self.calls[verb, resource] % 2:
            self.answers.insert(0, self.every_second)
        if self.answers:
            status, headers = self.answers.pop(0)
            return _status(status, "as told by the test", headers)
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return _status(401, "Unauthorized")
        if (verb, resource) not in self.rights.allowed or namespace in self.closed:
            self.refused[verb, resource] += 1
            return _status(403, f'cannot {verb} resource "{resource}" in "{namespace}"')
        reply = await self._do(request, verb, (plural, namespace, name or ""), sub)
        if self.lost_replies and verb in ("create", "delete"):
            self.lost_replies -= 1
            transport.abort()
        return reply

    async def _do(
        self, request: web.Request, verb: str, key: tuple[str, str, str], sub: str | None
    ) -> web.StreamResponse:
        plural, namespace, name = key
        if not name:
            return await self._do_to_all(request, verb, plural, namespace)
        if key not in self.store.objects:
            return _status(404, f'{plural} "{name}" not found')
        if sub:
            return await self._log(request, name)
        found = self.store.objects[key]
        if verb == "delete":
            if plural == "jobs":
                assert (await request.json())["propagationPolicy"] == "Background"
                self.jobs.delete(namespace, name)
            self.store.delete(*key)
        return web.json_response(found)

    async def _do_to_all(
        self, request: web.Request, verb: str, plural: str, namespace: str
    ) -> web.StreamResponse:
        if verb == "create":
            is_dry = request.query.get("dryRun") == "All"
            return self._create(plural, namespace, await request.json(), is_dry=is_dry)
        if verb == "watch":
            return await self._watch(request, plural, namespace)
        return self._list(request, plural, namespace)

    def _create(self, plural: str, namespace: str, body: Object, *, is_dry: bool) -> web.Response:
        if not is_dry:
            self.bodies.append(body)
        if body["metadata"].get("namespace") != namespace:
            return _status(400, "the namespace of the object does not match the request")
        if self.validating and (wrong := rules.faults(body)):
            return _status(422, f"{body['kind']} is invalid: {'; '.join(wrong)}")
        if is_dry:
            return web.json_response(body, status=201)
        try:
            made = self.store.create(plural, body)
        except KeyError:
            return _status(409, f'{plural} "{body["metadata"]["name"]}" already exists')
        if plural == "jobs":
            self.made.append(made["metadata"]["name"])
            self.jobs.begin(made)
            self.when_made()
        return web.json_response(made, status=201)

    def _list(self, request: web.Request, plural: str, namespace: str) -> web.Response:
        query = request.query
        labels, fields = query.get("labelSelector", ""), query.get("fieldSelector", "")
        found = list(self.store.select(plural, namespace, labels, fields))
        start, limit = int(query.get("continue", "0")), int(query.get("limit", "500"))
        metadata = {"resourceVersion": str(self.store.version)}
        if len(found) > start + limit:
            metadata["continue"] = str(start + limit)
        return web.json_response({"metadata": metadata, "items": found[start : start + limit]})

    async def _watch(self, request: web.Request, plural: str, namespace: str) -> web.StreamResponse:
        reply = web.StreamResponse(headers={"Content-Type": "application/json"})
        try:
            await reply.prepare(request)
        except ConnectionError:  # killed meanwhile
            return reply
        since = int(request.query["resourceVersion"])
        if since < self.store.oldest:
            status = {"kind": "Status", "code": 410, "message": "too old resource version"}
            await _write(reply, {"type": "ERROR", "object": status})
            return reply
        queue: asyncio.Queue[Change | None] = asyncio.Queue()
        for change in self.store.history:
            if change.version > since:
                queue.put_nowait(change)
        self.store.listeners.add(queue)
        timers = [asyncio.create_task(self._tick(queue, request))]
        try:
            with contextlib.suppress(ConnectionError):
                await self._stream(reply, queue, (plural, namespace), request)
        finally:
            self.store.listeners.discard(queue)
            timers[0].cancel()
        return reply

    async def _tick(self, queue: "asyncio.Queue[Change | None]", request: web.Request) -> None:
        """Bookmarks, and the end of the watch."""
        left = int(request.query["timeoutSeconds"])
        while left > 0:
            await self.clock.sleep(min(60, left))
            left -= 60
            queue.put_nowait(Change(self.store.version, "BOOKMARK", "", {}) if left > 0 else None)

    async def _stream(
        self,
        reply: web.StreamResponse,
        queue: "asyncio.Queue[Change | None]",
        place: tuple[str, str],
        request: web.Request,
    ) -> None:
        labels = request.query.get("labelSelector", "")
        while change := await queue.get():
            if self.late:
                await self.clock.sleep(self.late)
            found = change.object
            if change.type == "BOOKMARK":
                found = {"metadata": {"resourceVersion": str(change.version)}}
                is_wanted = True
            else:
                is_wanted = (change.plural, found["metadata"]["namespace"]) == place
                is_wanted = is_wanted and selected(found, labels, "")
            if is_wanted and not self.mute:
                await _write(reply, {"type": change.type, "object": found})

    async def _log(self, request: web.Request, pod: str) -> web.StreamResponse:
        life = next(one for one in self.jobs.lives.values() if one.pod == pod)
        query = request.query
        if query["container"] != life.name:
            return _status(400, "container is not valid for pod")
        if life.play.waiting:
            return _status(400, f'container "{life.name}" is waiting to start')
        reply = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await reply.prepare(request)
        sent, limit = 0, int(query.get("limitBytes", 1 << 40))
        if "tailLines" in query:
            lines = bytes(life.printed).splitlines(keepends=True)[-int(query["tailLines"]) :]
            sent = len(life.printed) - len(b"".join(lines))
            limit += sent
        while True:
            await reply.write(bytes(life.printed[sent:limit]))
            sent = min(limit, len(life.printed))
            if "follow" not in query or life.ended.is_set() or sent >= limit:
                return reply
            await self.clock.sleep(0.1)


def _verb(request: web.Request, name: str | None) -> str:
    if request.method == "GET" and not name:
        return "watch" if "watch" in request.query else "list"
    return {"GET": "get", "POST": "create", "DELETE": "delete"}.get(request.method, "other")


def _status(code: int, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    body = {"kind": "Status", "status": "Failure", "code": code, "message": message}
    return web.json_response(body, status=code, headers=headers)


async def _write(reply: web.StreamResponse, change: Object) -> None:
    await reply.write(json.dumps(change).encode() + b"\n")
