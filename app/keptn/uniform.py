"""Who is registered in Keptn's Uniform, and who of them would answer our tasks too; pure.

What that means for an operator is not said here.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import AliasPath, BaseModel, Field, TypeAdapter

from app.events import grammar

LIVE_SECONDS = 120.0
"""A sign of life comes every few seconds; without one, Keptn forgets an integration in two days."""

_HOME = ("metadata", "kubernetesmetadata")


class Integration(BaseModel):
    """One registration; `seen` is Keptn's time of its last sign of life."""

    name: str
    namespace: str = Field("", validation_alias=AliasPath(*_HOME, "namespace"))
    deployment: str = Field("", validation_alias=AliasPath(*_HOME, "deploymentname"))
    seen: datetime | None = Field(None, validation_alias=AliasPath("metadata", "lastseen"))
    subscriptions: tuple[Mapping[str, Any], ...] | None = None

    def is_live(self, now: float) -> bool:
        """Whether it was seen a moment ago, or nobody knows when."""
        return self.seen is None or now - self.seen.timestamp() < LIVE_SECONDS

    def answers_our_tasks(self) -> bool:
        """Whether it is made for job configs, or subscribed to every task, as we are.

        Keptn's own services answer single tasks, and no job config is for those.
        """
        events = [str(one.get("event")) for one in self.subscriptions or ()]
        if self.name.startswith("job-executor"):
            return any(event.endswith((".triggered", ">")) for event in events)
        return grammar.of_task("*", "triggered") in events


INTEGRATIONS = TypeAdapter(list[Integration])
