"""The double's memory: objects with versions, and all that ever changed, for watches to follow."""

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

Object = dict[str, Any]
Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Change:
    """One event of the history."""

    version: int
    type: str
    plural: str
    object: Object


@dataclass(eq=False)
class Store:
    """Objects by (plural, namespace, name)."""

    now: Callable[[], float]
    objects: dict[Key, Object] = field(default_factory=dict)
    history: list[Change] = field(default_factory=list)
    version: int = 1000
    oldest: int = 0
    listeners: set["asyncio.Queue[Change | None]"] = field(default_factory=set)

    def stamp(self) -> str:
        """Now, as Kubernetes writes it: whole seconds."""
        return datetime.fromtimestamp(int(self.now()), UTC).isoformat().replace("+00:00", "Z")

    def create(self, plural: str, body: Object) -> Object:
        """Add a new object; KeyError when there is one."""
        made: Object = json.loads(json.dumps(body))
        metadata = made["metadata"]
        if "generateName" in metadata and "name" not in metadata:
            metadata["name"] = metadata["generateName"] + uuid4().hex[:5]
        key = (plural, metadata["namespace"], metadata["name"])
        if key in self.objects:
            raise KeyError(key)
        metadata |= {"uid": str(uuid4()), "creationTimestamp": self.stamp()}
        return self._changed("ADDED", key, made)

    def update(self, plural: str, namespace: str, name: str, **parts: Any) -> Object | None:
        """Merge parts into an object; None when it has gone."""
        found = self.objects.get((plural, namespace, name))
        if found is None:
            return None
        merged = json.loads(json.dumps(found))
        for part, value in parts.items():
            merged[part] = {**merged.get(part, {}), **value}
        return self._changed("MODIFIED", (plural, namespace, name), merged)

    def delete(self, plural: str, namespace: str, name: str) -> None:
        """Remove an object, if it is there."""
        found = self.objects.get((plural, namespace, name))
        if found:
            self._changed("DELETED", (plural, namespace, name), json.loads(json.dumps(found)))
            del self.objects[(plural, namespace, name)]

    def select(self, plural: str, namespace: str, labels: str, fields: str) -> Iterator[Object]:
        """Objects that selectors leave."""
        for key in sorted(self.objects):
            if key[:2] == (plural, namespace) and selected(self.objects[key], labels, fields):
                yield self.objects[key]

    def compact(self) -> None:
        """Forget the history: whoever wants to go on from before is told 410."""
        self.version += 1
        self.oldest = self.version
        self.history.clear()

    def _changed(self, kind: str, key: Key, found: Object) -> Object:
        self.version += 1
        found["metadata"]["resourceVersion"] = str(self.version)
        self.objects[key] = found
        change = Change(self.version, kind, key[0], found)
        self.history.append(change)
        for listener in self.listeners:
            listener.put_nowait(change)
        return found


def selected(found: Object, labels: str, fields: str) -> bool:
    """Whether selectors leave this object."""
    have = found["metadata"].get("labels", {})
    for wanted in filter(None, labels.split(",")):
        name, equals, value = wanted.partition("=")
        if name not in have or (equals and have[name] != value):
            return False
    for wanted in filter(None, fields.split(",")):
        path, _, value = wanted.partition("=")
        place: Any = found
        for part in path.split("."):
            place = place.get(part, {})
        if place != value:
            return False
    return True
