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
from app.keptn.api import KeptnApi, mapping, mappings
from app.outbound import Refused

PING_SECONDS = 20.0
"""Half as often as Keptn's distributors; the strictest Keptn forgets who is silent for 60 s."""

_KIND = {"location": "remote-execution-plane", "distributorversion": "1.4.5"}
"""Whose protocol we speak: to the Bridge, whoever names none, or one below 0.9.0, is outdated."""

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
                await self.api.register("DELETE", f"/{found}")

    async def _keep(self, name: str) -> None:
        failures, clock = 0, self.core.clock
        while True:
            pause = PING_SECONDS
            try:
                await self._visit(name)
                failures = 0
                self.faults.pop(name, None)
            except FirstmateError as error:
                failures += 1
                pause = getattr(error, "after", None) or clock.backoff(failures)
                if failures == 1:
                    _LOG.warning("not at Keptn's Uniform", extra={"as": name, "cause": str(error)})
                self.faults[name] = str(error)
            await clock.sleep(pause)

    async def _visit(self, name: str) -> None:
        """One ping; whom Keptn forgot, it meets as a stranger next time."""
        if name not in self._ids:
            await self._enter(name)
        if not self.registers:
            return
        try:
            found = await self.api.register("PUT", f"/{self._ids[name]}/ping")
        except Refused:
            del self._ids[name]
            raise
        await self._reconcile(f"/{self._ids[name]}/subscription", found.get("subscriptions"))

    async def _enter(self, name: str) -> None:
        """Register, unless a distributor does it; never over another installation."""
        listed = [one for one in await self.api.integrations() if one.name == name]
        if self.registers:
            others = {one.deployment for one in listed if one.namespace == self.pod["namespace"]}
            if owner := "".join(others - {self.pod["deploymentname"]}):
                whose = f"UNIFORM_NAMES: at Keptn, {name!r} belongs to the deployment {owner!r}"
                raise Permanent(f"{whose}; choose another one, or remove that one in the Bridge")
            version = {"integrationversion": metadata.version("keptn-firstmate")}
            place = {"hostname": self.pod["podname"], "kubernetesmetadata": self.pod}
            body = {"name": name, "metadata": _KIND | version | place}
            found = (await self.api.register("POST", "", body)).get("id")
        else:
            found = next((one.id for one in listed), None)
        if not found:
            raise Permanent(f"Keptn's Uniform has no {name!r}")
        self._ids[name] = found
        if name == self.names[0]:
            self.core.lifecycle.integration = found

    async def _reconcile(self, path: str, subscriptions: Any) -> None:
        """Add what is missing and remove what we would not take, whoever added it.

        Keptn itself heeds the subscriptions of nobody but a newcomer.
        """
        missing = {grammar.of_task(task, "triggered") for task in self.tasks}
        for one in mappings(subscriptions):
            if one.get("event") in missing and not any(mapping(one.get("filter")).values()):
                missing.remove(one["event"])
            else:
                await self.api.register("DELETE", f"{path}/{one.get('id')}")
        for event in missing:
            every: dict[str, Any] = {"projects": [], "stages": [], "services": []}
            await self.api.register("POST", path, {"event": event, "filter": every})
