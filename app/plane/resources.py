"""One project's folder as resources, and each stage's content by version. Knows of no events.

    DIR/<file>, DIR/stages/<stage>/<file>, DIR/stages/<stage>/services/<service>/<file>

On each level a file `jobconfig.yaml` also stands for the resource `job/config.yaml`.
"""

import json
import os
import posixpath
import shutil
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha1
from pathlib import Path

from app.clock import Clock
from app.plane.shipyard import Shipyard, parse
from app.plane.store import Store
from app.plane.validation import Refused

MAX_BYTES = 5 * 1024 * 1024
"""A larger file is no resource."""

MAX_FILES = 2000
"""In one stage, its services included."""

SHIPYARD = "shipyard.yaml"
_BAD_NAME = "Invalid resource URI"
_ALIASES = {"job/config.yaml": "jobconfig.yaml"}


class Resources:
    """Reads and writes `folder`; `private`, a folder of ours that may lie inside, is never served.

    The files are the truth: whatever else changes them changes the project.
    """

    def __init__(self, name: str, folder: Path, private: Path, store: Store, clock: Clock) -> None:
        self.name = name
        self.folder = folder.resolve()
        self._stages = self.folder / "stages"
        self._private = private.resolve()
        self._store = store
        self._clock = clock
        self._last_shipyard: Shipyard | None = None

    def text(self) -> str:
        """The shipyard's text.

        Raises:
            Refused: it is missing, or cannot be read.
        """
        path = self.folder / SHIPYARD
        try:
            return path.read_text("utf-8")
        except FileNotFoundError:
            raise Refused(404, f"{path} is missing; create it, or name another folder") from None
        except (OSError, UnicodeDecodeError) as error:
            raise Refused(400, f"{path} cannot be read: {error}") from None

    def shipyard(self) -> Shipyard:
        """The shipyard as it is on disk now.

        Raises:
            Refused: it is missing or broken.
        """
        self._last_shipyard = parse(self.text(), str(self.folder / SHIPYARD))
        return self._last_shipyard

    @property
    def last_shipyard(self) -> Shipyard:
        """The last that could be read; it decides on follow-ups, as Keptn's cached one."""
        return self._last_shipyard or self.shipyard()

    def know(self, stage: str, service: str) -> None:
        """Remember since when a service is in a stage; where both are empty, the project."""
        place = self.name, stage, service, int(self._clock.now() * 1e9)
        self._store.query("INSERT OR IGNORE INTO places VALUES (?, ?, ?, ?)", *place)

    def services(self, stage: str) -> dict[str, str]:
        """Each service of a stage, and since when: nanoseconds as text, as Keptn writes it.

        It has those that have a folder, were triggered, or were made by name; stage "" is the
        project itself, in which "" is known.

        Raises:
            Refused: 404 when the shipyard has no such stage.
        """
        self._level(stage, "")
        folders = (self._stages / stage / "services").glob("[!.]*/")
        for name in [path.name for path in folders] if stage else [""]:
            self.know(stage, name)
        of_stage = "SELECT service, created FROM places WHERE project = ? AND stage = ?"
        found = self._store.query(f"{of_stage} ORDER BY service", self.name, stage)
        return {service: str(created) for service, created in found}

    def stages_of(self, service: str) -> list[str]:
        """The stages that have a service."""
        stages = [stage.name for stage in self.shipyard().stages]
        return [stage for stage in stages if service in self.services(stage)]

    def remove_service(self, service: str) -> None:
        """Delete a service with its files in every stage; what was read by version stays readable.

        Raises:
            Refused: 404 when no stage has it.
        """
        if not (stages := self.stages_of(service)):
            raise Refused(404, "Service not found")
        for stage in stages:
            shutil.rmtree(self._stages / stage / "services" / service, ignore_errors=True)
        forget = "DELETE FROM places WHERE project = ? AND service = ?"
        self._store.query(forget, self.name, service)

    def write(self, stage: str, service: str, files: Mapping[str, bytes | None]) -> str:
        """Put contents in the place of what is there, None for nothing; returns the new version.

        Raises:
            Refused: in Keptn's words: 400, or 404 for nothing to delete.
        """
        root = self._level(stage, service)
        targets = {self._target(root, uri): content for uri, content in files.items()}
        shipyard = targets.get(self.folder / SHIPYARD)
        if shipyard is not None:
            parse(shipyard.decode(errors="replace"))
        with self._store.transaction():  # so that nobody else writes meanwhile
            for path, content in targets.items():
                try:
                    _replace(path, content)
                except FileNotFoundError:
                    raise Refused(404, "Resource not found") from None
                except OSError as error:
                    raise Refused(400, f"{path} cannot be written: {error.strerror}") from None
            written = b"".join(filter(None, targets.values()))
            return self.snapshot(stage) if stage else _digest(written)

    def read(self, stage: str, service: str, uri: str, commit: str) -> tuple[bytes, str]:
        """A resource's content and version: the one at `commit`, or without it what is there now.

        Without `service` it is the stage's, without `stage` the project's.

        Raises:
            Refused: in Keptn's words: 400, 404, or 500 for a version that is not known.
        """
        self._level(stage, service)
        prefix = f"services/{service}/" if service else ""
        plain = _checked(uri)
        names = [prefix + name for name in (plain, _ALIASES.get(plain, plain))]
        version = commit or (self.snapshot(stage) if stage else "")
        for name in names:
            content = self._at(version, name) if version else self._content(self.folder, name)
            if content is not None:
                return content, version or _digest(content)
        raise Refused(404, "Resource not found")

    def listed(self, stage: str, service: str, commit: str) -> list[str]:
        """The names of what a level holds; a project's are not those of its stages.

        It is what it holds now, or held at `commit`, if that is a version of the stage.

        Raises:
            Refused: 404 for a level that is not there, 400 for one with too many files.
        """
        root = self._level(stage, service)
        if stage and (held := self._digests(commit)) is not None:
            prefix = f"services/{service}/" if service else ""
            return sorted(one.removeprefix(prefix) for one in held if one.startswith(prefix))
        return sorted(name for name in self._names(root) if self._real(root, name))

    def snapshot(self, stage: str) -> str:
        """Keep what the stage holds now, and return its version: a hash of all names and contents.

        Raises:
            Refused: the stage holds too many files.
        """
        root, digests = self._stages / stage, {}
        for name in self._names(root):
            if (content := self._content(root, name)) is not None:
                digests[name] = digest = _digest(content)
                self._store.query("INSERT OR IGNORE INTO contents VALUES (?, ?)", digest, content)
        listed = json.dumps(digests, sort_keys=True)
        version = _digest(listed.encode())
        self._store.query("INSERT OR IGNORE INTO snapshots VALUES (?, ?)", version, listed)
        return version

    def _level(self, stage: str, service: str) -> Path:
        """The folder of a stage or service that Keptn would know, or the project's."""
        if stage and stage not in {each.name for each in self.last_shipyard.stages}:
            raise Refused(404, "Stage not found")
        if service and service not in self.services(stage):
            raise Refused(404, "Service not found")
        folder = self._stages / stage if stage else self.folder
        return folder / "services" / service if service else folder

    def _target(self, root: Path, uri: str) -> Path:
        """The file that a resource is written to."""
        if not (real := self._place(root, _checked(uri))):
            raise Refused(400, _BAD_NAME)
        return real

    def _at(self, version: str, name: str) -> bytes | None:
        """What a stage had under a name at a version."""
        if (held := self._digests(version)) is None:
            raise Refused(500, f"Unknown commit {version[:64]}")
        found = self._store.query("SELECT content FROM contents WHERE digest = ?", held.get(name))
        return found[0][0] if found else None

    def _digests(self, version: str) -> dict[str, str] | None:
        """By name, what a stage held at a version; None if there is no such version."""
        found = self._store.query("SELECT digests FROM snapshots WHERE version = ?", version)
        return dict(json.loads(found[0][0])) if found else None

    def _content(self, root: Path, name: str) -> bytes | None:
        try:
            return real.read_bytes() if (real := self._real(root, name)) else None
        except OSError:
            return None

    def _real(self, root: Path, name: str) -> Path | None:
        """A resource's file; None for what is no file, or is too large."""
        with suppress(OSError):
            real = self._place(root, name)
            if real and real.is_file() and real.stat().st_size <= MAX_BYTES:
                return real
        return None

    def _place(self, root: Path, name: str) -> Path | None:
        """Where a resource is or would be; None where none may be: hidden, private, outside."""
        of_stage = root == self.folder and name.startswith("stages/")
        if of_stage or "\0" in name or "/." in f"/{name}":
            return None
        real = Path(os.path.realpath(root / name))
        inside = real.is_relative_to(self.folder) and real not in (self.folder, self._stages)
        private = self._private.is_relative_to(self.folder) and real.is_relative_to(self._private)
        return real if inside and not private else None

    def _names(self, root: Path) -> list[str]:
        """All below a level's folder but what is hidden; a project's stages are levels themselves.

        Raises:
            Refused: there are too many.
        """
        found: list[str] = []
        for folder, folders, names in os.walk(root):
            shown = [name for name in folders if not name.startswith(".")]
            folders[:] = [name for name in shown if Path(folder, name) != self._stages]
            found += [Path(folder, name).relative_to(root).as_posix() for name in names]
            if len(found) > MAX_FILES:
                raise Refused(400, f"{root} holds more than {MAX_FILES} files; move some elsewhere")
        return found


def _digest(content: bytes) -> str:
    return sha1(content, usedforsecurity=False).hexdigest()


def _checked(uri: str) -> str:
    """The name as a path below a level's folder: `/a`, `./a` and `a` are the same."""
    if ".." in uri or "~" in uri:
        raise Refused(400, _BAD_NAME)
    return posixpath.normpath(uri.lstrip("/"))


def _replace(path: Path, content: bytes | None) -> None:
    if content is None:
        path.unlink()
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    try:
        beside.write_bytes(content)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
