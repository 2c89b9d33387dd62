"""`firstmate import` and `export`: a whole project, from a Keptn into a folder that can be served.

That is what people wrote: shipyard, services, the resources of all levels. Runs, events, secrets
and Keptn's own `metadata.yaml` stay behind.
"""

from functools import partial
from pathlib import Path

from app.cli.layout import BELOW, home
from app.cli.remote import Level, Remote
from app.errors import Permanent

SHIPYARD = "shipyard.yaml"
OWN = "metadata.yaml"
"""What Keptn itself writes on each level; a new project gets new ones."""

Found = dict[Level, dict[str, bytes]]


def read(keptn: Remote, project: str) -> Found:
    """All files of a project, by level.

    Raises:
        FirstmateError: there is no such project, it has no shipyard, or it cannot be read.
    """
    levels = keptn.levels(project)
    found = {level: dict(keptn.files(level, partial(_own, level, levels))) for level in levels}
    if SHIPYARD not in found[(project,)]:
        raise Permanent(f"the project {project} at {keptn.place.base} has no {SHIPYARD}")
    return found


def write(found: Found, folder: Path, *, force: bool) -> str:
    """Write it all in the layout that `firstmate serve` takes; the answer tells of it.

    Raises:
        Permanent: something else may be there.
    """
    if not force and folder.exists() and any(folder.iterdir()):
        raise Permanent(f"{folder} is not empty: --force writes into it")
    told = list[str]()
    for level, files in found.items():
        (folder / _place(level, SHIPYARD)).parent.mkdir(parents=True, exist_ok=True)
        for uri, content in files.items():
            if place := _place(level, uri):
                (folder / place).parent.mkdir(parents=True, exist_ok=True)
                (folder / place).write_bytes(content)
            else:
                what = f"{uri} of {'/'.join(level)}"
                told.append(f"left out, for it has no place in a folder: {what}")
    count = sum(map(len, found.values())) - len(told)
    return "\n".join([*told, f"{count} files on {len(found)} levels are in {folder}"])


def _own(level: Level, levels: list[Level], uri: str) -> bool:
    """Whether people wrote it on this level; what a service has is listed in its stage again."""
    folder = uri.removeprefix("services/").partition("/")[0]
    return uri != OWN and not (level[1:] and (*level, folder) in levels)


def _place(level: Level, uri: str) -> str:
    """Where a resource stands in the layout; empty for what is hidden or would be another level."""
    path = "/".join((*home(*level[1:]), uri))
    hidden = any(part[:1] in ("", ".") for part in path.split("/"))
    below = uri.partition("/")[0] in BELOW[len(level) - 1 : len(level)]
    return "" if hidden or below or not path.isprintable() else path
