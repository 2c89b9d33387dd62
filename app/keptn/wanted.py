"""What there is to look for in Keptn: the types of the tasks, and the projects.

When it is looked for, and what is done with it, is decided elsewhere.
"""

import logging
import sqlite3
from collections.abc import Collection, Iterator
from typing import Any

import yaml

from app.clock import Clock
from app.errors import FirstmateError
from app.events import grammar
from app.keptn.api import KeptnApi, mapping
from app.ledger import rows

READ_SECONDS, RETRY_SECONDS = 300.0, 20.0
_LOG = logging.getLogger(__name__)


class Wanted:
    """The types of `tasks`; without any, of the ledger's and, if `everything`, the shipyards'.

    Attributes:
        types: of triggered events.
        projects: by name.
    """

    def __init__(
        self,
        api: KeptnApi,
        reader: sqlite3.Connection,
        clock: Clock,
        tasks: Collection[str],
        *,
        everything: bool,
    ) -> None:
        self._api, self._reader, self._clock = api, reader, clock
        self._tasks, self._everything = tasks, everything
        self._due = clock.tick()
        self.types: set[str] = set()
        self.projects: list[str] = []

    async def refresh(self) -> None:
        """Read both again, when it is time; what cannot be read now stays as it is."""
        if self._clock.tick() < self._due:
            return
        self._due, shipyards = self._clock.tick() + READ_SECONDS, list[Any]()
        try:
            listed = [mapping(one) for one in await self._api.projects()]
        except FirstmateError as error:
            _LOG.warning("projects cannot be listed", extra={"cause": str(error)})
            self._due = self._clock.tick() + RETRY_SECONDS
        else:
            self.projects = [str(one["projectName"]) for one in listed if one.get("projectName")]
            shipyards = [one.get("shipyard") for one in listed]
            self.types = set()
        for name in self._tasks or ({"evaluation"} if shipyards and self._everything else ()):
            self.types.add(grammar.of_task(name, "triggered"))
        if not self._tasks:
            self._learn(shipyards if self._everything else ())

    def add(self, event_type: str) -> bool:
        """A task was seen that no shipyard told of yet; whether it is wanted."""
        if self._everything and not self._tasks and grammar.triggered_task(event_type):
            self.types.add(event_type)
        return event_type in self.types

    def _learn(self, shipyards: Collection[Any]) -> None:
        seen = rows.types(self._reader, open_only=False)
        self.types |= {one for one in seen if grammar.triggered_task(one)}
        for shipyard in shipyards:
            self.types |= {grammar.of_task(name, "triggered") for name in task_names(shipyard)}


def task_names(shipyard: Any) -> Iterator[str]:
    """The names of all tasks in a shipyard's text; one that is no YAML has none."""
    try:
        tree = yaml.load(str(shipyard or ""), Loader=yaml.CBaseLoader)  # noqa: S506 - makes no objects
    except yaml.YAMLError:
        return
    for stage in _items(mapping(mapping(tree).get("spec")), "stages"):
        for sequence in _items(stage, "sequences"):
            yield from (str(task["name"]) for task in _items(sequence, "tasks") if task.get("name"))


def _items(parent: dict[str, Any], key: str) -> list[dict[str, Any]]:
    found = parent.get(key)
    return [mapping(one) for one in found] if isinstance(found, list) else []
