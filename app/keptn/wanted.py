"""What there is to look for in Keptn: the types of the tasks, and the projects.

When it is looked for, and what is done with it, is decided elsewhere.
"""

import logging
from collections.abc import Collection, Iterator
from typing import Any

import yaml

from app.core import Core
from app.errors import FirstmateError
from app.events import grammar
from app.keptn.api import KeptnApi, mapping, mappings
from app.ledger import rows

READ_SECONDS, RETRY_SECONDS = 300.0, 20.0
USUAL = ("deployment", "test", "evaluation", "release", "rollback", "action", "remote-task")
"""The tasks that are looked for while no shipyard can be read."""

_LOG = logging.getLogger(__name__)


class Wanted:
    """The types of `tasks`; without any, those in the ledger and, for who `polls`, in shipyards.

    Attributes:
        projects: by name; for who polls.
    """

    def __init__(self, api: KeptnApi, core: Core, tasks: Collection[str], *, polls: bool) -> None:
        self._api, self._reader, self._clock = api, core.ledger.reader, core.clock
        self._fixed, self._polls = bool(tasks), polls
        self._due, self._last_run = core.clock.tick(), 0
        self._known = {grammar.of_task(task, "triggered") for task in tasks}
        self._guessed = set[str]()
        self.projects: list[str] = []

    @property
    def types(self) -> set[str]:
        """The types of triggered events."""
        return self._known | self._guessed

    async def refresh(self) -> None:
        """Read the ledger, and Keptn when it is time; what cannot be read now stays as it is."""
        for event_type, last_run in rows.types(self._reader, self._last_run).items():
            self.add(event_type)
            self._last_run = max(self._last_run, last_run)
        if self._clock.tick() < self._due:
            return
        self._due = self._clock.tick() + READ_SECONDS
        try:
            listed = await self._api.projects() if self._polls else []
        except FirstmateError as error:
            _LOG.warning("projects cannot be listed", extra={"cause": str(error)})
            self._due = self._clock.tick() + RETRY_SECONDS
            if not self.types:
                self._guessed = {grammar.of_task(task, "triggered") for task in USUAL}
            return
        self._guessed = set()
        self.projects = [str(one["projectName"]) for one in listed if one.get("projectName")]
        for task in (name for one in listed for name in ("evaluation", *task_names(one))):
            self.add(grammar.of_task(task, "triggered"))

    def add(self, event_type: str) -> bool:
        """An event was seen, or a shipyard tells of it; whether its type is to be looked for."""
        if not self._fixed and grammar.triggered_task(event_type):
            self._known.add(event_type)
        return event_type in self._known


def task_names(project: dict[str, Any]) -> Iterator[str]:
    """The names of all tasks in a project's shipyard; one that is no YAML has none."""
    try:
        text = str(project.get("shipyard") or "")
        spec = mapping(yaml.load(text, Loader=yaml.CBaseLoader)).get("spec")  # noqa: S506 - makes no objects
    except yaml.YAMLError:
        return
    for stage in mappings(mapping(spec).get("stages")):
        for sequence in mappings(stage.get("sequences")):
            named = (task.get("name") for task in mappings(sequence.get("tasks")))
            yield from (str(name) for name in named if name)
