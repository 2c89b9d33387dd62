"""Where Keptn's APIs are and how a request to them is signed; what the answers mean is not here."""

import base64
import json
import logging
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, reduce
from itertools import product
from typing import Any, TypeVar
from urllib.parse import quote, quote_plus

import httpx

from app.events import parse
from app.events.parse import Event
from app.keptn.resources import SCOPES, Resource
from app.keptn.uniform import INTEGRATIONS, Integration
from app.outbound import Mute, Outbound, Refused, Unclear, json_object

Objects = list[dict[str, Any]]
Found = TypeVar("Found")
_OPEN_EVENTS = "controlPlane/v1/event/triggered"
_EXECUTIONS = "controlPlane/v1/sequence-execution"
_STORED_EVENTS = "mongodb-datastore/event"
NEWER, OLDER = "resource-service", "configuration-service"
"""Who serves files: from Keptn 0.18 on, and before, when there were no sequence executions."""

WAYS = tuple(product((NEWER, OLDER), (1, 2)))
"""Who may serve files, and how often a name is escaped: Keptn's gateway undoes one escape."""


@dataclass(frozen=True)
class Endpoint:
    """One way to reach a Keptn.

    `base` is the URL before `/controlPlane`, `events` the one that takes events. `final` tells
    whether a 200 there proves that the event reached Keptn; a distributor's does not.
    `token` is asked for each request, so that a new one is picked up.
    """

    base: str
    events: str
    final: bool
    token: Callable[[], str] = lambda: ""


class KeptnApi:
    """Keptn's HTTP APIs; errors are those of `app.outbound`."""

    def __init__(self, endpoint: Endpoint, outbound: Outbound) -> None:
        self.endpoint = endpoint
        self._outbound = outbound
        self._way = WAYS[0]
        self._uniform = f"{endpoint.base}/controlPlane/v1/uniform/registration"

    async def send_event(self, body: str) -> None:
        """Hand over one structured CloudEvent."""
        await self._call("POST", self.endpoint.events, body, "cloudevents+json")

    async def send_log(self, body: str) -> None:
        """Write to the Uniform log."""
        await self._call("POST", f"{self.endpoint.base}/controlPlane/v1/log", body)

    async def is_open(self, event: Event) -> bool:
        """Whether Keptn still waits for an answer to this triggered event.

        A 404 in Keptn's own words means that the project is gone; one without, or a reply without
        a list, means that there is nobody to ask, and then the event counts as open.
        """
        where = f"{_OPEN_EVENTS}/{quote(event.type, safe='')}"
        try:
            found = await self._get(where, project=event.named("project"), eventID=event.id)
        except Refused as error:
            return not (error.status == httpx.codes.NOT_FOUND and error.explained)
        events = mappings(found.get("events", [{"id": event.id}]))
        return any(one.get("id") == event.id for one in events)

    async def is_wanted(self, event: Event) -> bool:
        """Whether the event is open, or was sent by hand: Keptn runs nothing in its context.

        Of such an event nobody can tell whether it is waited for; who sent it wants it done.
        """
        if not event.shkeptncontext or await self.is_open(event):
            return True
        try:
            return not await self.states(event.named("project"), [event.shkeptncontext])
        except Refused:  # this Keptn does not tell
            return True

    async def open_events(self, event_type: str) -> list[Event]:
        """All triggered events of exactly this type that wait for an answer, of all projects."""
        found = await self._entries(f"{_OPEN_EVENTS}/{quote(event_type, safe='')}", "events")
        return parse.readable(found, _unfit)

    async def projects(self) -> Objects:
        """All projects, each with its `projectName` and the text of its `shipyard`."""
        return await self._entries("controlPlane/v1/project", "projects")

    async def states(self, project: str, contexts: Collection[str]) -> Objects:
        """The states of some runs of a project: `shkeptncontext`, `state`, `stages`."""
        where = f"controlPlane/v1/sequence/{quote(project, safe='')}"
        found = await self._entries(where, "states", keptnContext=",".join(contexts))
        return [one for one in found if one.get("shkeptncontext") in contexts]

    async def events_since(self, project: str, time: str) -> list[Event]:
        """What the datastore has of a project with a `time` that, as text, is greater."""
        found = await self._entries(_STORED_EVENTS, "events", project=project, fromTime=time)
        return parse.readable(found, _unfit)

    async def executions(self, event: Event) -> Objects:
        """The sequence executions of the event's context, as the controller counts them."""
        if OLDER in self._way:
            return []
        return await self._entries(_EXECUTIONS, "sequenceExecutions", **_run(event), told=True)

    async def stored_events(self, event: Event, event_type: str, source: str) -> Objects:
        """The events of that type and source that Keptn's datastore has for the context."""
        alike = _run(event) | {"type": event_type, "source": source}
        return await self._entries(_STORED_EVENTS, "events", **alike, told=True)

    async def integrations(self) -> list[Integration]:
        """All that are registered with Keptn, those that are gone for less than two days too."""
        said = await self._call("GET", self._uniform)
        try:
            return INTEGRATIONS.validate_json(said)
        except ValueError:
            raise Unclear("uniform/registration: the reply is no list of integrations") from None

    async def register(self, method: str, path: str = "", body: Any = None) -> dict[str, Any]:
        """A call below the Uniform's registrations; the object that it answers with."""
        text = json.dumps(body) if body else None
        return json_object(await self._call(method, self._uniform + path, text)) or {}

    async def read(self, event: Event, uri: str, level: str, commit: str) -> Resource | None:
        """See `Source.read`."""
        pin = {"gitCommitID": commit} if commit else {}

        async def ask(home: str, escapes: int) -> Resource:
            name = reduce(lambda text, _: quote_plus(text), range(escapes), uri)
            return _resource(await self._get(f"{_folder(home, event, level)}/{name}", **pin), level)

        with _absence():
            return await self._of_files(ask)
        return None

    async def listed(self, event: Event, level: str) -> list[str]:
        """See `Source.listed`; a level that is not there has nothing.

        Only our own plane heeds the commit.
        """
        commit = event.gitcommitid if level != "project" else ""
        pin: dict[str, Any] = {"gitCommitID": commit} if commit else {}

        async def ask(home: str, _: int) -> list[str]:
            entries = await self._entries(_folder(home, event, level), "resources", **pin)
            names = [entry.get("resourceURI") for entry in entries]
            return [name.lstrip("/") for name in names if isinstance(name, str)]

        with _absence():
            return await self._of_files(ask)
        return []

    async def _of_files(self, ask: Callable[[str, int], Awaitable[Found]]) -> Found:
        """What those say who serve files; which of the ways leads to them is found out by asking.

        It is remembered as long as it holds, for Keptn may be updated. A 404 that is not Keptn's
        own, and a distributor's mute 500, say nothing: if all ways end in such, it is Unclear.
        """
        silence = Unclear("")
        for way in dict.fromkeys((self._way, *WAYS)):
            try:
                found = await ask(*way)
            except Mute as error:
                silence = error
            except Refused as error:
                if error.unserved:
                    silence = Unclear(str(error))
                    continue
                self._way = way
                raise
            else:
                self._way = way
                return found
        raise silence

    async def _entries(self, path: str, name: str, *, told: bool = False, **params: str) -> Objects:
        """What stands under a name on all pages of a listing, to the one that names no next.

        Where it must be `told`, a reply without such a name is Refused: it is not "nothing".
        """
        entries, page, seen = Objects(), "0", set[str]()
        while page not in seen:
            seen.add(page)
            found = await self._get(path, **params, pageSize="100", nextPageKey=page)
            if told and name not in found:
                raise Refused(f"{path}: the reply has no {name}", httpx.codes.NOT_FOUND)
            entries += mappings(found.get(name))
            page = str(found.get("nextPageKey") or "0")
        return entries

    async def _get(self, path: str, **params: str) -> dict[str, Any]:
        said = await self._call("GET", f"{self.endpoint.base}/{path}", **params)
        if (found := json_object(said)) is None:
            raise Unclear(f"{path}: the reply is no JSON object; is this Keptn's API?")
        return found

    async def _call(
        self, method: str, url: str, body: str | None = None, kind: str = "json", **params: str
    ) -> bytes:
        """Send a request under our token; what is replied."""
        token = self.endpoint.token()
        headers = {"content-type": f"application/{kind}"} | ({"x-token": token} if token else {})
        reply = await self._outbound.request(
            method, url, headers=headers, params=params, content=body
        )
        return reply.content


@lru_cache(maxsize=1024)  # told once, however often it is listed
def _unfit(event_id: str, why: str) -> None:
    logging.getLogger(__name__).warning("event not taken", extra={"event": event_id, "cause": why})


@contextmanager
def _absence() -> Iterator[None]:
    """Leave the block when Keptn says that nothing is there."""
    try:
        yield
    except Refused as error:
        if error.status != httpx.codes.NOT_FOUND:
            raise


def _folder(home: str, event: Event, level: str) -> str:
    """Where a level's resources are."""
    parts = [f"{name}/{quote(event.named(name), safe='')}" for name in SCOPES[level]]
    return f"{home}/v1/{'/'.join(parts)}/resource"


def _run(event: Event) -> dict[str, str]:
    return {"project": event.named("project"), "keptnContext": event.shkeptncontext}


def _resource(found: dict[str, Any], level: str) -> Resource:
    version = mapping(found.get("metadata")).get("version")
    try:
        content = base64.b64decode(found.get("resourceContent") or "", validate=True)
    except (ValueError, TypeError) as error:
        raise Unclear(f"the resource on {level} level cannot be decoded: {error}") from None
    return Resource(content, level, str(version or ""))


def mapping(value: Any) -> dict[str, Any]:
    """What a peer should have sent as an object, empty if it is none."""
    return value if isinstance(value, dict) else {}


def mappings(value: Any) -> Objects:
    """What a peer should have sent as a list of objects, with an empty one for what is none."""
    return [mapping(one) for one in value] if isinstance(value, list) else []
