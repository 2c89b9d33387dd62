"""Where Keptn's APIs are and how a request to them is signed; what the answers mean is not here."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, quote_plus

import httpx

from app.events.parse import Event
from app.keptn.resources import SCOPES, Resource
from app.keptn.uniform import INTEGRATIONS, Integration
from app.outbound import Outbound, Refused, Unclear, json_object


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

    async def send_event(self, body: str) -> None:
        """Hand over one structured CloudEvent."""
        await self._post(self.endpoint.events, body, "application/cloudevents+json")

    async def send_log(self, body: str) -> None:
        """Write to the Uniform log."""
        await self._post(f"{self.endpoint.base}/controlPlane/v1/log", body, "application/json")

    async def is_open(self, event: Event) -> bool:
        """Whether Keptn still waits for an answer to this triggered event.

        A 404 in Keptn's own words means that the project is gone; one without, or a reply without
        a list, means that there is nobody to ask, and then the event counts as open.
        """
        where = f"controlPlane/v1/event/triggered/{quote(event.type, safe='')}"
        try:
            found = await self._get(where, project=event.named("project"), eventID=event.id)
        except Refused as error:
            return not (error.status == httpx.codes.NOT_FOUND and error.explained)
        events = found.get("events", [{"id": event.id}])
        listed = events if isinstance(events, list) else ()
        return any(mapping(one).get("id") == event.id for one in listed)

    async def executions(self, event: Event) -> list[Any]:
        """The sequence executions of the event's context, as the controller counts them."""
        found = await self._get(
            "controlPlane/v1/sequence-execution",
            project=event.named("project"),
            keptnContext=event.shkeptncontext,
        )
        listed = found.get("sequenceExecutions", found.get("SequenceExecutions"))
        return listed if isinstance(listed, list) else []

    async def stored_events(self, event: Event, event_type: str, source: str) -> list[Any]:
        """The events of that type and source that Keptn's datastore has for the context."""
        return await self._entries(
            "mongodb-datastore/event",
            "events",
            project=event.named("project"),
            keptnContext=event.shkeptncontext,
            type=event_type,
            source=source,
        )

    async def integrations(self) -> list[Integration]:
        """All that are registered with Keptn, those that are gone for less than two days too."""
        where = f"{self.endpoint.base}/controlPlane/v1/uniform/registration"
        reply = await self._outbound.request("GET", where, headers=self._headers())
        try:
            return INTEGRATIONS.validate_json(reply.content)
        except ValueError:
            raise Unclear("uniform/registration: the reply is no list of integrations") from None

    async def read(self, event: Event, uri: str, level: str, commit: str) -> Resource | None:
        """See `Source.read`."""
        pin = {"gitCommitID": commit} if commit else {}
        try:
            found = await self._get(f"{_folder(event, level)}/{quote_plus(uri)}", **pin)
        except Refused as error:
            _require_absent(error)
            return None
        return _resource(found, level)

    async def listed(self, event: Event, level: str) -> list[str]:
        """See `Source.listed`; a level that is not there has nothing."""
        try:
            entries = await self._entries(_folder(event, level), "resources")
        except Refused as error:
            _require_absent(error)
            return []
        names = [mapping(entry).get("resourceURI") for entry in entries]
        return [name.lstrip("/") for name in names if isinstance(name, str)]

    async def _post(self, url: str, body: str, media_type: str) -> None:
        await self._outbound.request(
            "POST", url, headers=self._headers() | {"content-type": media_type}, content=body
        )

    async def _entries(self, path: str, name: str, **params: str) -> list[Any]:
        """What stands under a name on all pages of a listing, to the one that names no next."""
        entries, page, seen = list[Any](), "0", set[str]()
        while page not in seen:
            seen.add(page)
            found = await self._get(path, **params, pageSize="100", nextPageKey=page)
            entries += found.get(name) or ()
            page = str(found.get("nextPageKey") or "0")
        return entries

    async def _get(self, path: str, **params: str) -> dict[str, Any]:
        reply = await self._outbound.request(
            "GET", f"{self.endpoint.base}/{path}", headers=self._headers(), params=params
        )
        if (found := json_object(reply.content)) is None:
            raise Unclear(f"{path}: the reply is no JSON object")
        return found

    def _headers(self) -> dict[str, str]:
        token = self.endpoint.token()
        return {"x-token": token} if token else {}


def _require_absent(error: Refused) -> None:
    """Raise unless Keptn itself says that nothing is there; the 404 of a proxy says nothing."""
    if error.status != httpx.codes.NOT_FOUND:
        raise error
    if not error.explained:
        raise Unclear(str(error)) from None


def _folder(event: Event, level: str) -> str:
    """Where a level's resources are."""
    parts = [f"{name}/{quote(event.named(name), safe='')}" for name in SCOPES[level]]
    return f"resource-service/v1/{'/'.join(parts)}/resource"


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
