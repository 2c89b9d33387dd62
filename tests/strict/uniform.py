"""Keptn's Uniform: who is registered, pings, and is subscribed to what (§3.2).

An integration stands once for a name and namespace; nothing is delivered by what is said here.
"""

import hashlib
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.strict.validation import Refused, now

Json = dict[str, Any]


@dataclass
class Uniform:
    """The registrations, and what was asked of them in order: (method, what)."""

    integrations: list[Json] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def answer(self, method: str, path: list[str], body: Json, query: Mapping[str, str]) -> Any:
        """The status and JSON of a request; `path` is what follows `/registration`."""
        what = "/".join(["", *path[1:2]])
        self.asked.append((method, what))
        rows: dict[tuple[str, str], Callable[[], tuple[int, Any]]] = {
            ("GET", ""): lambda: (200, self._listed(query)),
            ("POST", ""): lambda: self._register(body),
            ("DELETE", ""): lambda: self._forget(path[0]),
            ("PUT", "/ping"): lambda: (200, self._ping(path[0])),
            ("GET", "/subscription"): lambda: (200, self._found(path[0])["subscriptions"]),
            ("POST", "/subscription"): lambda: self._subscribe(path[0], body),
            ("PUT", "/subscription"): lambda: self._subscribe(path[0], body | {"id": path[2]}),
            ("DELETE", "/subscription"): lambda: self._unsubscribe(path[0], path[2]),
        }
        if (method, what) not in rows:
            raise Refused(404, "404 page not found")
        return rows[method, what]()

    def _listed(self, query: Mapping[str, str]) -> list[Json]:
        wanted = [(name, query[name]) for name in ("id", "name") if query.get(name)]
        return [one for one in self.integrations if all(one[name] == at for name, at in wanted)]

    def _register(self, body: Json) -> tuple[int, Json]:
        """Of one that is known only the versions are taken over, and never the subscriptions."""
        metadata = body.get("metadata", {})
        place = metadata.get("kubernetesmetadata", {})
        name, namespace, host = body.get("name"), place.get("namespace"), metadata.get("hostname")
        if not (name and namespace and host):
            raise Refused(400, "name, namespace and hostname must be set")
        for one in self.integrations:
            at = one["metadata"]
            if (one["name"], at["kubernetesmetadata"]["namespace"]) == (name, namespace):
                for version in ("integrationversion", "distributorversion"):
                    at[version] = metadata.get(version, "")
                at["lastseen"] = now()
                return 200, {"id": one["id"]}
        identity = f"{name}-{namespace}-{host}".encode()
        found = hashlib.sha1(identity, usedforsecurity=False).hexdigest()
        given = [one | {"id": str(uuid.uuid4())} for one in body.get("subscriptions") or ()]
        seen = metadata | {"lastseen": now()}
        self.integrations.append(
            {"id": found, "name": name, "metadata": seen, "subscriptions": given or None}
        )
        return 201, {"id": found}

    def _ping(self, identity: str) -> Json:
        found = self._found(identity)
        found["metadata"]["lastseen"] = now()
        return found

    def _forget(self, identity: str) -> tuple[int, Json]:
        self.integrations = [one for one in self.integrations if one["id"] != identity]
        return 200, {}

    def _subscribe(self, identity: str, body: Json) -> tuple[int, Json]:
        found = self._found(identity)
        made = {"id": str(uuid.uuid4())} | body
        others = [one for one in found["subscriptions"] or () if one["id"] != made["id"]]
        found["subscriptions"] = [*others, made]
        return 201, {"id": made["id"]}

    def _unsubscribe(self, identity: str, subscription: str) -> tuple[int, Json]:
        found = self._found(identity)
        left = [one for one in found["subscriptions"] or () if one["id"] != subscription]
        found["subscriptions"] = left or None
        return 200, {}

    def _found(self, identity: str) -> Json:
        for one in self.integrations:
            if one["id"] == identity:
                return one
        raise Refused(404, "uniform integration not found")
