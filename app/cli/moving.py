"""`firstmate import` and `export`: copies a whole project out of one Keptn, to a folder or another.

A copy is what people wrote: shipyard, resources of all levels, services. Runs, events, secrets and
Keptn's own `metadata.yaml` stay behind.
"""

from pathlib import Path

from app.cli.layout import Layout
from app.cli.remote import Level, Remote, control
from app.errors import Permanent
from app.outbound import Refused

SHIPYARD = "shipyard.yaml"
OWN = "metadata.yaml"
"""What Keptn itself writes on each level; a new project gets new ones."""

Files = dict[str, bytes]
NOT_FOUND = 404


def read(keptn: Remote, project: str) -> dict[Level, Files]:
    """All files of a project, by level.

    Raises:
        FirstmateError: there is no such project, it has no shipyard, or it cannot be read.
    """
    found = {level: dict(keptn.files(level)) for level in keptn.levels(project)}
    for files in found.values():
        files.pop(OWN, None)
    if SHIPYARD not in found[Level(project)]:
        raise Permanent(f"project {project} has no {SHIPYARD} that can be read: nothing was copied")
    return found


def to_folder(found: dict[Level, Files], folder: Path, *, force: bool) -> str:
    """Write what was read in the layout that `firstmate serve` takes; the answer tells of it.

    Raises:
        Permanent: a file is there already and says something else; nothing was written then.
    """
    homes = {level: _home(folder, level) for level in found}
    placed = {
        homes[level] / uri: content
        for level, files in found.items()
        for uri, content in files.items()
        if _fits(level, uri)
    }
    if not force and (odd := [str(path) for path in placed if _differs(path, placed[path])]):
        raise Permanent(f"{odd[0]} is there and says something else: --force overwrites")
    for home in homes.values():
        home.mkdir(parents=True, exist_ok=True)
    for path, content in placed.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    left = [
        f"left out, for a folder has no place for it: {'/'.join(filter(None, level))}: {uri}"
        for level, files in found.items()
        for uri in files
        if not _fits(level, uri)
    ]
    return "\n".join([f"{len(placed)} files on {len(homes)} levels are in {folder}", *left])


def to_keptn(found: dict[Level, Files], keptn: Remote, **git: str) -> str:
    """Create what a Keptn lacks of the project, and write all its files; the answer tells of it.

    Raises:
        FirstmateError: it refuses a part; what came before is done, and may be done again.
    """
    project = next(iter(found)).project
    try:
        there = set(keptn.levels(project))
    except Refused as error:
        if error.status != NOT_FOUND:
            raise
        keptn.create_project(project, found[Level(project)][SHIPYARD], **git)
        there = set(keptn.levels(project))
    missing = {level.service for level in found} - {level.service for level in there} - {""}
    for service in sorted(missing):
        keptn.ask("POST", control("project", project, "service"), {"serviceName": service})
    for level, files in found.items():
        if files:
            keptn.write(level, files)
    return f"{sum(map(len, found.values()))} files on {len(found)} levels are in {keptn.place.base}"


def _home(folder: Path, level: Level) -> Path:
    if any(name.startswith(".") or "/" in name for name in level):
        raise Permanent(f"{level.name} {level!r} cannot be the name of a folder")
    return Layout(folder).level(level.name, level.stage, level.service)


def _fits(level: Level, uri: str) -> bool:
    """Whether a resource can stand in the layout: no hidden part, and not where levels are."""
    parts = uri.split("/")
    below = {"project": "stages", "stage": "services"}.get(level.name)
    odd = not uri.isprintable() or any(not part or part.startswith(".") for part in parts)
    return parts[0] != below and not odd


def _differs(path: Path, content: bytes) -> bool:
    return path.exists() and (not path.is_file() or path.read_bytes() != content)
