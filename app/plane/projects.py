"""The projects: the user's folder, and those made over the API, each a folder of the same layout.

    DATA_DIR/projects/<project>/

What a folder holds is in `resources`; nothing here knows of events.
"""

import re
import shutil
from functools import partial
from pathlib import Path

from app.clock import Clock
from app.plane.resources import SHIPYARD, Resources
from app.plane.shipyard import parse
from app.plane.store import Document, Store
from app.plane.validation import Refused

_NAME = re.compile(r"[a-z]([a-z0-9-]{0,198}[a-z0-9])?")
_SERVICE = re.compile(r"(?!\.)[^/><|:&\0]{1,200}")


class Projects:
    """Finds, makes and deletes projects; `served` is the name of the user's folder.

    Raises:
        Refused: the user's folder has no shipyard that can be read, or no name.
    """

    def __init__(
        self, folder: Path, served: str, data_dir: Path, store: Store, clock: Clock
    ) -> None:
        self._root, self._store = data_dir / "projects", store
        self._open = partial(Resources, private=data_dir, store=store, clock=clock)
        self.served = served or self._open("", folder).shipyard().name
        if not self.served:
            raise Refused(400, "shipyard.yaml has no metadata.name; set it, or use --project")
        self._found = {self.served: self._open(self.served, folder)}

    def names(self) -> list[str]:
        """The user's project first."""
        made = sorted(path.parent.name for path in self._root.glob(f"*/{SHIPYARD}"))
        return [self.served, *(name for name in made if name != self.served)]

    def get(self, name: str) -> Resources:
        """The project of this name.

        Raises:
            Refused: 404 when there is none.
        """
        if name not in self._found:
            if name not in self.names():
                raise Refused(404, "Project not found")
            self._found[name] = self._open(name, self._root / name)
        return self._found[name]

    def create(self, name: str, shipyard: bytes) -> None:
        """Make a project.

        Raises:
            Refused: 400 for its name or shipyard, 409 when it is there.
        """
        if not _NAME.fullmatch(name):
            raise Refused(400, f"{name[:40]!r} is no name: use a to z, 0 to 9, -, a letter first")
        parse(shipyard.decode(errors="replace"))
        if name in self.names():
            raise Refused(409, "Project already exists")
        self._open(name, self._root / name).write("", "", {SHIPYARD: shipyard})
        self.get(name).know("", "")

    def delete(self, project: str) -> None:
        """Forget a project with its files, events and runs.

        Raises:
            Refused: 404 when there is none, 409 for the user's folder.
        """
        self.get(project)
        if project == self.served:
            raise Refused(409, f"{project} is the folder that is served; serve another one instead")
        shutil.rmtree(self._root / project)
        del self._found[project]
        for table in ("events", "executions", "places"):
            self._store.query(f"DELETE FROM {table} WHERE project = ?", project)  # noqa: S608

    def view(self, project: str) -> Document:
        """A project as Keptn's API shows it."""
        found = self.get(project)
        shipyard = found.last_shipyard
        names = [stage.name for stage in shipyard.stages]
        return {
            "projectName": project,
            "creationDate": found.services("")[""],
            "shipyard": found.text(),
            "shipyardVersion": shipyard.api_version,
            "stages": [
                {"stageName": name, "services": self.services(project, name)} for name in names
            ],
        }

    def services(self, project: str, stage: str) -> list[Document]:
        """A stage's services as Keptn's API shows them."""
        found = self.get(project).services(stage).items()
        return [{"serviceName": name, "creationDate": since} for name, since in found]

    def create_service(self, project: str, service: str) -> None:
        """Make a service in every stage.

        Raises:
            Refused: 400 for its name, 404 for the project, 409 when a stage has it.
        """
        if not _SERVICE.fullmatch(service):
            raise Refused(400, f"{service[:40]!r} is no name: no dot first, and no / > < | : &")
        found = self.get(project)
        if found.stages_of(service):
            raise Refused(409, "Service already exists")
        for stage in found.last_shipyard.stages:
            found.know(stage.name, service)
