"""Keptn's uniform: who registered, for which events, and when it was last heard of. Delivers none.

Subscriptions are kept for those who read them, such as a distributor.
"""

import uuid
from dataclasses import dataclass
from hashlib import sha1
from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import AliasPath, BaseModel, Field

from app.clock import Clock
from app.events.build import timestamp
from app.plane.api import CONTROL, Posted, json_body, listed_by, parsed
from app.plane.store import Document, Listing, Store
from app.plane.validation import Refused

_ALL = CONTROL + "/uniform/registration"
_ONE = _ALL + "/{integration}"
_NAMESPACE = AliasPath("metadata", "kubernetesmetadata", "namespace")
_RENEWED = ("integrationversion", "distributorversion")
_SCOPE = ("project", "stage", "service")
Integrations = Annotated[Listing, listed_by("id", "name", "namespace", "hostname", *_SCOPE)]
Given = Annotated[str, Field(min_length=1)]


class Subscription(BaseModel):
    """An event that an integration wants, and where from."""

    event: str
    filter: dict[str, list[str] | None] = {}

    def numbered(self, identity: str = "") -> Document:
        """It as it is kept: under an id, a new one if none is given."""
        return self.model_dump() | {"id": identity or str(uuid.uuid4())}


class Integration(BaseModel):
    """What an integration registers with; whatever else is in its metadata is kept."""

    name: Given
    namespace: Given = Field(validation_alias=_NAMESPACE)
    hostname: Given = Field(validation_alias=AliasPath("metadata", "hostname"))
    metadata: Document
    subscriptions: list[Subscription] | None = None


@dataclass(frozen=True, slots=True)
class Uniform:
    """The answers to Keptn's calls about integrations."""

    store: Store
    clock: Clock

    def add_to(self, router: APIRouter) -> None:
        """Give each its path."""
        several, one = _ONE + "/subscription", _ONE + "/subscription/{subscription}"
        known, wanted = json_body(Integration), json_body(Subscription)
        router.post(_ALL, responses={201: {}}, openapi_extra=known)(self.register)
        router.get(_ALL)(self.registered)
        router.put(_ONE + "/ping")(self.ping)
        router.delete(_ONE)(self.unregister)
        router.get(several)(self.subscriptions)
        router.post(several, status_code=201, openapi_extra=wanted)(self.subscribe)
        router.get(one)(self.subscription)
        router.put(one, status_code=201, openapi_extra=wanted)(self.change)
        router.delete(one)(self.unsubscribe)

    def register(self, body: Posted, response: Response) -> Document:
        """Take an integration, or hear again from one that is known by name and namespace."""
        given = parsed(body, Integration)
        wanted = [one.numbered() for one in given.subscriptions or ()]
        text = f"{given.name}-{given.namespace}-{given.hostname}".encode()
        new: Document = {"id": sha1(text, usedforsecurity=False).hexdigest(), "name": given.name}
        where = "name = ? AND namespace = ?"
        with self.store.transaction():
            known = self.store.find("integrations", where, given.name, given.namespace)
            kept = known[0] if known else new | {"metadata": given.metadata, "subscriptions": []}
            kept["metadata"] |= {key: given.metadata.get(key) for key in _RENEWED}
            self._keep(kept, kept["subscriptions"] or wanted)
        response.status_code = 200 if known else 201
        return {"id": kept["id"]}

    def registered(self, listing: Integrations) -> list[Document]:
        """The integrations, of a place those that have a subscription for it."""
        texts = dict(listing.texts)
        place = {f"{key}s": name for key in _SCOPE if (name := texts.pop(key))}
        found = self.store.page("integrations", Listing(texts)).items
        return [one for one in found if not place or _wants(one["subscriptions"], place)]

    def ping(self, integration: str) -> Document:
        """Hear from an integration; it is told what it is subscribed to."""
        with self.store.transaction():
            found = self._of(integration)
            self._keep(found, found["subscriptions"])
        return found

    def unregister(self, integration: str) -> None:
        """Forget an integration."""
        self.store.query("DELETE FROM integrations WHERE id = ?", integration)

    def subscriptions(self, integration: str) -> list[Document]:
        """What an integration is subscribed to."""
        return list(self._of(integration)["subscriptions"])

    def subscription(self, integration: str, subscription: str) -> Document:
        """One of its subscriptions."""
        for one in self.subscriptions(integration):
            if one["id"] == subscription:
                return one
        raise Refused(404, "Subscription not found")

    def subscribe(self, integration: str, body: Posted) -> Document:
        """Add a subscription; returns its id."""
        return self.change(integration, str(uuid.uuid4()), body)

    def change(self, integration: str, subscription: str, body: Posted) -> Document:
        """Put a subscription in the place of the one with this id."""
        self._replace(integration, subscription, parsed(body, Subscription).numbered(subscription))
        return {"id": subscription}

    def unsubscribe(self, integration: str, subscription: str) -> None:
        """Remove a subscription."""
        self._replace(integration, subscription)

    def _replace(self, integration: str, old: str, *new: Document) -> None:
        with self.store.transaction():
            found = self._of(integration)
            self._keep(found, [one for one in found["subscriptions"] if one["id"] != old] + [*new])

    def _of(self, integration: str) -> Document:
        for found in self.store.find("integrations", "id = ?", integration):
            return found
        raise Refused(404, "Integration not found")

    def _keep(self, integration: Document, subscriptions: list[Document]) -> None:
        """Store it as just heard of."""
        integration["subscriptions"] = subscriptions
        integration["metadata"]["lastseen"] = timestamp(self.clock.now())
        self.store.put("integrations", integration)


def _wants(subscriptions: list[Document], place: Document) -> bool:
    """Whether one of the subscriptions names all parts of a place in its filter."""
    filters = [one["filter"] for one in subscriptions]
    return any(all(name in (one.get(key) or ()) for key, name in place.items()) for one in filters)
