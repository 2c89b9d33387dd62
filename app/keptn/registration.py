"""Being seen at Keptn's Uniform: registered, pinged, and subscribed to just what is taken.

No event comes in through it, and nothing waits for it: a Keptn that is away is asked again.
"""

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

from app.core import Core
from app.errors import FirstmateError, Permanent
from app.events import grammar
from app.keptn.api import KeptnApi, mapping
from app.outbound import Refused

PING_SECONDS = 10.0
"""As often as Keptn's distributors do it; the strictest Keptn forgets who is silent for 60 s."""

_KIND = {"location": "remote-execution-plane", "distributorversion": "1.4.5"}
"""Whose protocol we speak: to the Bridge, whoever names none, or one below 0.9.0, is outdated."""

_ALL: dict[str, Any] = {"projects": None, "stages": None, "services": None}
"""The filter that lets all pass."""

_LOG = logging.getLogger(__name__)


@dataclass
class Uniform:
    """Keeps us registered under each of the names, which are unique in a namespace.

    Attributes:
        names: the first one has our log entries.
        tasks: those whose triggered events are taken; `*` is all.
        pod: whose pod it is, in Keptn's form; its deployment tells ours from another installation.
        registers: else a distributor does it, and all that is wanted is the id that it got.
        faults: by name, why it is not registered now.
    """

    api: KeptnApi
    core: Core
    names: tuple[str, ...]
    tasks: tuple[str, ...]
    pod: dict[str, str]
    registers: bool
    faults: dict[str, str] = field(default_factory=dict)
    _ids: dict[str, str] = field(default_factory=dict)

    async def run(self) -> None:
        """Ping under every name until cancelled."""
        await asyncio.gather(*map(self._keep, self.names))

    async def leave(self) -> None:
        """Take what we registered off the list, if Keptn can be reached."""
        for found in self._ids.values() if self.registers else ():
            with contextlib.suppress(FirstmateError):
                await self.api.uniform("DELETE", f"/{found}")

    async def _keep(self, name: str) -> None:
        failures, clock = 0, self.core.clock
        while True:
            try:
                await (self._visit(name) if self.registers else self._find(name))
                failures = 0
                self.faults.pop(name, None)
            except FirstmateError as error:
                failures += 1
                if failures == 1:
                    _LOG.warning("not at Keptn's Uniform", extra={"as": name, "cause": str(error)})
                self.faults[name] = str(error)
            await clock.sleep(clock.backoff(failures) if failures else PING_SECONDS)

    async def _find(self, name: str) -> None:
        self._learn(name, await self.api.uniform("GET", "", name=name))

    async def _visit(self, name: str) -> None:
        """One ping; who is not known registers first, and whom Keptn forgot does so next time."""
        if name not in self._ids:
            self._learn(name, [await self.api.uniform("POST", "", self._body(name))])
        try:
            found = mapping(await self.api.uniform("PUT", f"/{self._ids[name]}/ping"))
        except Refused:
            del self._ids[name]
            raise
        pod = mapping(mapping(found.get("metadata")).get("kubernetesmetadata"))
        if (owner := pod.get("deploymentname")) != self.pod["deploymentname"]:
            whose = f"UNIFORM_NAMES: at Keptn, {name!r} belongs to the deployment {owner!r}"
            raise Permanent(f"{whose}; choose another one, or remove it from the Bridge's Uniform")
        await self._reconcile(self._ids[name], found.get("subscriptions") or [])

    def _body(self, name: str) -> dict[str, Any]:
        """The registration in Keptn's form."""
        version = {"integrationversion": metadata.version("keptn-firstmate")}
        place = {"hostname": self.pod["podname"], "kubernetesmetadata": self.pod}
        wanted = [_subscription(task) for task in self.tasks]
        return {"name": name, "metadata": _KIND | version | place, "subscriptions": wanted}

    def _learn(self, name: str, registered: Any) -> None:
        """Keep the id of the first of those that are registered."""
        found = next((mapping(one).get("id") for one in registered or ()), None)
        if not found:
            raise Permanent(f"Keptn's Uniform has no {name!r}")
        self._ids[name] = found
        if name == self.names[0]:
            self.core.lifecycle.integration = found

    async def _reconcile(self, found: str, subscriptions: list[Any]) -> None:
        """Add what is missing and remove what we would not take, whoever added it.

        Keptn itself heeds the subscriptions of nobody but a newcomer.
        """
        path = f"/{found}/subscription"
        missing = [_subscription(task) for task in self.tasks]
        for one in map(mapping, subscriptions):
            had = {"event": one.get("event"), "filter": _ALL | (one.get("filter") or {})}
            if had in missing:
                missing.remove(had)
            else:
                await self.api.uniform("DELETE", f"{path}/{one.get('id')}")
        for each in missing:
            await self.api.uniform("POST", path, each)


def _subscription(task: str) -> dict[str, Any]:
    return {"event": grammar.of_task(task, "triggered"), "filter": _ALL}
