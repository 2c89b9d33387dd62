"""Where a project's files lie in a folder, as the README has it; knows no file's meaning.

DIR/<file>, DIR/stages/<stage>/<file>, DIR/stages/<stage>/services/<service>/<file>
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from app.errors import Permanent

CONFIGS = ("job/config.yaml", "jobconfig.yaml")
"""The names of a level's job config; the first comes first."""

BELOW = ("stages", "services")
"""The folders of a project's stages, and of a stage's services."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A project's folder; `stage` and `service` are those whose file it was found by, or empty."""

    project: Path
    stage: str = ""
    service: str = ""

    @staticmethod
    def around(config: Path) -> "Layout":
        """The layout in which this job config stands on one of the levels."""
        home = config.resolve().parent
        if config.resolve().match("job/config.yaml"):
            home = home.parent
        match home.parts[-4:]:
            case ("stages", stage, "services", service):
                return Layout(home.parents[3], stage, service)
            case (*_, "stages", stage):
                return Layout(home.parents[1], stage)
        return Layout(home)

    def configs(self) -> Iterator[Path]:
        """The job configs of all levels."""
        below = (sorted(self.project.glob(at)) for at in ("stages/*/", "stages/*/services/*/"))
        for folder in chain([self.project], *below):
            yield from islice(filter(Path.is_file, map(folder.joinpath, CONFIGS)), 1)


def home(*names: str) -> list[str]:
    """The folders that lead to a level: to the project's own, to that of a stage, or a service."""
    return [part for pair in zip(BELOW, names, strict=False) for part in pair]


def files(level: Path) -> Iterator[str]:
    """The names of a level's own resources: those of the levels below and hidden ones are none."""
    below = {"stages": "services", "services": ""}.get(level.parent.name, "stages")
    for path in sorted(level.rglob("*")):
        parts = path.relative_to(level).parts
        hidden = parts[0] == below or any(part.startswith(".") for part in parts)
        if not hidden and path.is_file():
            yield "/".join(parts)


def decoded(text: str | bytes, name: str) -> Any:
    """The JSON in a text, as strict as a door; a fault calls it by this name.

    Raises:
        Permanent: it is none.
    """
    try:
        return from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise Permanent(f"{name} is not JSON: {error}") from None
