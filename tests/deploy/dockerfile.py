"""The Dockerfile: read, and its steps taken on this machine instead of in a container engine.

The base image is this machine's Python, and no package index is asked: what pip would fetch is lent
from the environment of the tests.
"""

import os
import re
import shlex
import shutil
import sys
import sysconfig
from pathlib import Path

from tests.deploy.box import Box
from tests.deploy.manifests import ROOT

LENT = "/lent"
"""Where the box has the packages of the tests' environment."""

FILE = ROOT / "Dockerfile"
Step = tuple[str, str]


def stages() -> list[list[Step]]:
    """The steps, as (instruction, rest), of what stands before the first FROM and of each stage."""
    text = re.sub(r"(?m)^#.*\n", "", FILE.read_text())
    found: list[list[Step]] = [[]]
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        word, _, rest = line.partition(" ")
        if word == "FROM":
            found.append([])
        elif word:
            found[-1].append((word, rest))
    return found


def running() -> dict[str, str]:
    """The environment of what runs in the image: ENV of the last stage, and the lent packages."""
    given = " ".join(rest for word, rest in stages()[-1] if word == "ENV")
    return {**dict(part.split("=", 1) for part in shlex.split(given)), "PYTHONPATH": LENT}


def build(folder: Path) -> Path:
    """Take all steps; the answer is the root of the last stage, without the base."""
    base, image = folder / "build", folder / "image"
    _build_stage(base, stages()[1])
    for word, rest in stages()[2]:
        if word == "COPY":
            source, target = rest.split()[-2:]
            shutil.copytree(base / source.lstrip("/"), image / target.lstrip("/"), symlinks=True)
    return image


def box(root: Path) -> Box:
    """A root over the base: all packages but ours, and a `python` on the path."""
    made = Box(root)
    packages = Path(sysconfig.get_paths()["purelib"])
    made.mount("ro", packages, "/packages")
    for folder in ("lent", "python"):
        (root / folder).mkdir(exist_ok=True)
    lent = {"python/python": Path(os.path.realpath(sys.executable))}
    for one in packages.iterdir():
        if not re.match(r"__editable__|keptn_firstmate|pip\b|pip-", one.name):
            lent[f"lent/{one.name}"] = Path("/packages") / one.name
    for place, target in lent.items():
        if not (root / place).is_symlink():
            (root / place).symlink_to(target)
    return made


def _build_stage(root: Path, steps: list[Step]) -> None:
    made, work = box(root), "/"
    for word, rest in steps:
        if word == "WORKDIR":
            work = rest
            (root / rest.lstrip("/")).mkdir(parents=True)
        elif word == "COPY":
            *sources, target = rest.split()
            _copy(sources, root / work.lstrip("/") / target)
        elif word == "RUN":
            _run(made, rest, work)


def _copy(sources: list[str], target: Path) -> None:
    for source in sources:
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / source, target)


def _run(made: Box, line: str, workdir: str) -> None:
    variables = {"PATH": "/python:/usr/bin:/bin", "PYTHONPATH": LENT, "HOME": "/tmp"}
    offline = {"PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    step = made.start(["sh", "-c", line], {**variables, **offline}, 0, workdir, locked=False)
    told, _ = step.communicate(timeout=120)
    assert step.returncode == 0, f"RUN {line}\n{told}"
