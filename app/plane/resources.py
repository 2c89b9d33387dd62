"""The served folder as resources, and each stage's content by version. Writes nothing there.

    DIR/<file>, DIR/stages/<stage>/<file>, DIR/stages/<stage>/services/<service>/<file>

On each level a file `jobconfig.yaml` also stands for the resource `job/config.yaml`.
"""

import json
import os
from hashlib import sha1
from pathlib import Path

from app.plane.shipyard import Shipyard, parse
from app.plane.store import Store
from app.plane.validation import Refused

MAX_BYTES = 5 * 1024 * 1024
"""A larger file is no resource."""

MAX_FILES = 2000
"""In one stage, its services included."""

_ALIASES = {"job/config.yaml": "jobconfig.yaml"}


class Resources:
    """Reads the folder; `private` is a folder of ours that may lie inside it and is never served.

    `last_shipyard` is the last that could be read; it decides on follow-ups, as Keptn's cached one.
    """

    def __init__(self, folder: Path, private: Path, store: Store) -> None:
        self._folder = folder.resolve()
        self._stages = self._folder / "stages"
        self._private = private.resolve()
        self._store = store
        self.last_shipyard = self.shipyard()

    def shipyard(self) -> Shipyard:
        """The shipyard as it is on disk now.

        Raises:
            Refused: it is missing or broken.
        """
        path = self._folder / "shipyard.yaml"
        try:
            self.last_shipyard = parse(path.read_text("utf-8"))
        except FileNotFoundError:
            raise Refused(404, f"{path} is missing; create it, or name another folder") from None
        except (OSError, UnicodeDecodeError) as error:
            raise Refused(400, f"{path} cannot be read: {error}") from None
        return self.last_shipyard

    def read(self, stage: str, service: str, uri: str, commit: str) -> tuple[bytes, str]:
        """A resource's content and version: the one at `commit`, or without it what is there now.

        Without `service` it is the stage's, without `stage` the project's.

        Raises:
            Refused: in Keptn's words: 400, 404, or 500 for a version that is not known.
        """
        if ".." in uri or "~" in uri:
            raise Refused(400, "Invalid resource URI")
        self._level(stage, service)
        prefix = f"services/{service}/" if service else ""
        names = [prefix + name for name in (uri, _ALIASES.get(uri, uri))]
        if stage or commit:
            version = commit or self.snapshot(stage)
            content = self._at(version, names)
        else:
            contents = map(self._project_file, names)
            content = next((each for each in contents if each is not None), None)
            version = _digest(content or b"")
        if content is None:
            raise Refused(404, "Resource not found")
        return content, version

    def listed(self, stage: str, service: str) -> list[str]:
        """The names of what a level holds now; a project's are not those of its stages.

        Raises:
            Refused: 404 for a level that is not there, 400 for one with too many files.
        """
        root = self._level(stage, service)
        found = filter(self._real, self._files(root))
        return sorted(path.relative_to(root).as_posix() for path in found)

    def snapshot(self, stage: str) -> str:
        """Keep what the stage holds now, and return its version: a hash of all names and contents.

        Raises:
            Refused: the stage holds too many files.
        """
        root = self._stages / stage
        digests = {}
        for path in self._files(root):
            if (content := self._content(path)) is not None:
                digests[path.relative_to(root).as_posix()] = digest = _digest(content)
                self._store.query("INSERT OR IGNORE INTO contents VALUES (?, ?)", digest, content)
        listed = json.dumps(digests, sort_keys=True)
        version = _digest(listed.encode())
        self._store.query("INSERT OR IGNORE INTO snapshots VALUES (?, ?)", version, listed)
        return version

    def _level(self, stage: str, service: str) -> Path:
        """The folder of a stage or service that Keptn would know, or the project's."""
        if stage and stage not in {each.name for each in self.last_shipyard.stages}:
            raise Refused(404, "Stage not found")
        known = "SELECT 1 FROM services WHERE stage = ? AND service = ?"
        if service and not self._store.query(known, stage, service):
            raise Refused(404, "Service not found")
        folder = self._stages / stage if stage else self._folder
        return folder / "services" / service if service else folder

    def _at(self, version: str, names: list[str]) -> bytes | None:
        listed = self._store.query("SELECT digests FROM snapshots WHERE version = ?", version)
        if not listed:
            raise Refused(500, f"Unknown commit {version[:64]}")
        digests = json.loads(listed[0][0])
        digest = next((digests[name] for name in names if name in digests), "")
        found = self._store.query("SELECT content FROM contents WHERE digest = ?", digest)
        return found[0][0] if found else None

    def _project_file(self, name: str) -> bytes | None:
        parts = name.split("/")
        hidden = parts[0] == "stages" or any(not part or part.startswith(".") for part in parts)
        return None if hidden else self._content(self._folder / name)

    def _content(self, path: Path) -> bytes | None:
        try:
            return real.read_bytes() if (real := self._real(path)) else None
        except OSError:
            return None

    def _real(self, path: Path) -> Path | None:
        """None for what is no file of the project's, is too large, or leads outside by a link."""
        try:
            real = path.resolve()
            inside = real.is_relative_to(self._folder) and not real.is_relative_to(self._private)
            fits = inside and real.is_file() and real.stat().st_size <= MAX_BYTES
        except (OSError, ValueError):
            return None
        return real if fits else None

    def _files(self, root: Path) -> list[Path]:
        """All below a level's folder but what is hidden; a project's stages are levels themselves.

        Raises:
            Refused: there are too many.
        """
        found: list[Path] = []
        for folder, folders, names in os.walk(root):
            shown = [name for name in folders if not name.startswith(".")]
            folders[:] = [name for name in shown if Path(folder, name) != self._stages]
            found += [Path(folder, name) for name in names if not name.startswith(".")]
            if len(found) > MAX_FILES:
                raise Refused(400, f"{root} holds more than {MAX_FILES} files; move some elsewhere")
        return found


def _digest(content: bytes) -> str:
    return sha1(content, usedforsecurity=False).hexdigest()
