"""Where Keptn's APIs are and how a request to them is signed; what the answers mean is not here."""

import base64
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, quote_plus

import httpx

from app.events.parse import Event
from app.keptn.resources import SCOPES, Resource
from app.keptn.uniform import INTEGRATIONS, Integration
from app.outbound import Outbound, Refused, Unclear


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

        A 404 in Keptn's own words means that the project is gone; one without means that there is
        nobody to ask, and then the event counts as open.
        """
        where = f"controlPlane/v1/event/triggered/{quote(event.type, safe='')}"
        try:
            found = await self._get(where, project=event.named("project"), eventID=event.id)
        except Refused as error:
            return not (error.status == httpx.codes.NOT_FOUND and error.explained)
        events = found.get("events")
        return isinstance(events, list) and any(_field(one, "id") == event.id for one in events)

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
        pages = self._pages(
            "mongodb-datastore/event",
            project=event.named("project"),
            keptnContext=event.shkeptncontext,
            type=event_type,
            source=source,
            pageSize="100",
        )
        return [one async for page in pages for one in page.get("events") or ()]

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
            pages = [one async for one in self._pages(_folder(event, level), pageSize="100")]
        except Refused as error:
            _require_absent(error)
            return []
        names = [
            _field(one, "resourceURI") for page in pages for one in page.get("resources") or ()
        ]
        return [name.lstrip("/") for name in names if isinstance(name, str)]

    async def _post(self, url: str, body: str, media_type: str) -> None:
        await self._outbound.request(
            "POST", url, headers=self._headers() | {"content-type": media_type}, content=body
        )

    async def _pages(self, path: str, **params: str) -> AsyncIterator[dict[str, Any]]:
        """All pages of a listing, from the first to the one that names no next."""
        page = "0"
        while True:
            found = await self._get(path, **params, nextPageKey=page)
            yield found
            following = str(found.get("nextPageKey") or "0")
            if following in ("0", page):
                return
            page = following

    async def _get(self, path: str, **params: str) -> dict[str, Any]:
        reply = await self._outbound.request(
            "GET", f"{self.endpoint.base}/{path}", headers=self._headers(), params=params
        )
        try:
            found = json.loads(reply.content)
        except ValueError:
            found = None
        if not isinstance(found, dict):
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


def _resource(found: Mapping[str, Any], level: str) -> Resource:
    metadata = found.get("metadata")
    version = metadata.get("version") if isinstance(metadata, dict) else ""
    try:
        content = base64.b64decode(found.get("resourceContent") or "", validate=True)
    except (ValueError, TypeError) as error:
        raise Unclear(f"the resource on {level} level cannot be decoded: {error}") from None
    return Resource(content, level, str(version or ""))


def _field(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None
