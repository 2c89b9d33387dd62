"""The files of a task: which resources its entries name, and where each is to stand below /keptn.

Nothing here writes a file; no path that is given back leads out of the folder it is written to.
"""

from dataclasses import dataclass
from pathlib import PurePosixPath

from app.errors import Permanent
from app.events.parse import Event
from app.jobconfig.read import Task
from app.keptn.resources import SCOPES, Source

MAX_BYTES = 20 * 1024 * 1024
"""For all files of a task, as in the volume that job-executor gives it."""

MAX_FILES = 2000
LONGEST_PATH = 255
"""In bytes: the longest name of a file, and a task's folder lies deep itself."""


async def gathered(task: Task, event: Event, commit: str, source: Source) -> dict[str, bytes]:
    """The content of all that the task's `files` name, by its path below /keptn.

    An entry is a file, or else a folder, of the first level that has either; where two entries
    give one path, the first counts.

    Raises:
        Permanent: naming an entry that is nowhere, a name that cannot be, or what is too much.
    """
    gathering = _Gathering(event, commit, source, {})
    for entry in task.files:
        if not await gathering.take(checked(entry)):
            what = f"could not find file or directory {entry} for task {task.name}"
            raise Permanent(f"{what}: looked on {', on '.join(map(gathering.place, SCOPES))}")
    for path in gathering.files:
        for folder in PurePosixPath(path).parents:
            if str(folder) in gathering.files:
                raise Permanent(f"files: {folder} would be a file and the folder of {path}")
    return gathering.files


@dataclass(frozen=True, slots=True)
class _Gathering:
    """The files found so far for one task of one event."""

    event: Event
    commit: str
    source: Source
    files: dict[str, bytes]

    async def take(self, path: str) -> bool:
        """Take a file, or all of a folder, from the first level that has it, if any does."""
        for level in SCOPES:
            pinned = self.commit and level != "project"
            if pinned and await self._take_file(level, path):
                return True
            names = await self.source.listed(self.event, level)
            inside = [checked(name) for name in names if name.startswith(f"{path}/")]
            # Without a commit, Keptn would answer for a folder with an error, not with a 404;
            # and the list is of now: a name in it may not have been there at the commit.
            if any([await self._take_file(level, name) for name in inside or [path]]):
                return True
        return False

    async def _take_file(self, level: str, path: str) -> bool:
        found = await self.source.read(self.event, path, level, self.commit)
        if found:
            self.files.setdefault(path, found.content)
        count, size = len(self.files), sum(map(len, self.files.values()))
        if size > MAX_BYTES or count > MAX_FILES:
            taken = f"{size} bytes in {count} files with {path}"
            raise Permanent(f"files: {taken}; at most {MAX_BYTES} bytes in {MAX_FILES} files")
        return found is not None

    def place(self, level: str) -> str:
        """A level in words."""
        scope = "/".join(self.event.named(name) for name in SCOPES[level])
        pinned = f" at commit {self.commit}" if self.commit and level != "project" else ""
        return f"{level} level {scope}{pinned}"


def checked(name: str) -> str:
    """The name as a plain relative path.

    Raises:
        Permanent: it could lead out of a folder, or Keptn or a file system would not have it.
    """
    parts = [part for part in name.split("/") if part not in ("", ".")]
    path = "/".join(parts)
    odd = not path.isprintable() or ".." in path or "~" in path or "\\" in path
    if not parts or odd or len(path.encode()) > LONGEST_PATH:
        raise Permanent(f"files: {name[:LONGEST_PATH]!r} can be no file: write a short plain path")
    return path
