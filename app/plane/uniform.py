"""Keptn's uniform: who registered, for which events, and what it had to tell. Delivers no events.

Subscriptions are kept for those who read them, such as a distributor; nobody edits them here.
"""

import uuid
from dataclasses import dataclass
from hashlib import sha1
from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import AliasPath, BaseModel, ConfigDict, Field

from app.clock import Clock
from app.events.build import timestamp
from app.plane.api import CONTROL, Posted, json_body, listed_by, parsed
from app.plane.store import Document, Listing, Store
from app.plane.validation import Refused

_ALL = CONTROL + "/uniform/registration"
_ONE = _ALL + "/{integration}"
_LOG = CONTROL + "/log"
_NAMESPACE = AliasPath("metadata", "kubernetesmetadata", "namespace")
_VERSIONS = ("integrationversion", "distributorversion")
Logs = Annotated[Listing, listed_by("integrationId")]
Given = Annotated[str, Field(min_length=1)]


class Integration(BaseModel):
    """What an integration registers with; whatever else is in its metadata is kept."""

    model_config = ConfigDict(frozen=True)

    name: Given
    namespace: Given = Field(validation_alias=_NAMESPACE)
    hostname: Given = Field(validation_alias=AliasPath("metadata", "hostname"))
    metadata: Document
    subscriptions: list[Document] | None = None


class Log(BaseModel):
    """Entries for the log of an integration, each with integrationid, message, time and more."""

    logs: list[Document]


@dataclass(frozen=True, slots=True)
class Uniform:
    """The answers to Keptn's calls about integrations and their log."""

    store: Store
    clock: Clock

    def add_to(self, router: APIRouter) -> None:
        """Give each its path."""
        router.post(_ALL, responses={201: {}}, openapi_extra=json_body(Integration))(self.register)
        router.get(_ALL)(self.registered)
        router.put(_ONE + "/ping")(self.ping)
        router.delete(_ONE)(self.unregister)
        router.post(_LOG, openapi_extra=json_body(Log))(self.log)
        router.get(_LOG)(self.logs)

    def register(self, body: Posted, response: Response) -> Document:
        """Take an integration, or hear again from one that is known by name and namespace."""
        given = parsed(body, Integration)
        wanted = [{**one, "id": str(uuid.uuid4())} for one in given.subscriptions or ()]
        text = f"{given.name}-{given.namespace}-{given.hostname}".encode()
        new: Document = {"id": sha1(text, usedforsecurity=False).hexdigest(), "name": given.name}
        where = "name = ? AND namespace = ?"
        with self.store.transaction():
            known = self.store.find("integrations", where, given.name, given.namespace)
            kept = known[0] if known else new | {"metadata": given.metadata, "subscriptions": []}
            kept["metadata"] |= {key: given.metadata.get(key) for key in _VERSIONS}
            kept["subscriptions"] = kept["subscriptions"] or wanted
            self._keep(kept)
        response.status_code = 200 if known else 201
        return {"id": kept["id"]}

    def registered(self) -> list[Document]:
        """All integrations."""
        return self.store.find("integrations", "1")

    def ping(self, integration: str) -> Document:
        """Hear from an integration; it is told what it is subscribed to."""
        with self.store.transaction():
            for found in self.store.find("integrations", "id = ?", integration):
                self._keep(found)
                return found
        raise Refused(404, "Integration not found")

    def unregister(self, integration: str) -> None:
        """Forget an integration."""
        self.store.query("DELETE FROM integrations WHERE id = ?", integration)

    def log(self, body: Posted) -> None:
        """Keep what integrations have to tell; an entry without a time gets the present one."""
        now = timestamp(self.clock.now())
        with self.store.transaction():
            for entry in parsed(body, Log).logs:
                self.store.put("logs", {**entry, "time": entry.get("time") or now})

    def logs(self, listing: Logs) -> Document:
        """Log entries of the integrations."""
        return self.store.page("logs", listing).shown("logs")

    def _keep(self, integration: Document) -> None:
        """Store it as just heard of."""
        integration["metadata"]["lastseen"] = timestamp(self.clock.now())
        self.store.put("integrations", integration)
