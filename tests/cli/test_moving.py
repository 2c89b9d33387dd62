"""`firstmate import` and `export`: whole projects, into folders that are served as they are."""

import json
import uuid
from pathlib import Path

import pytest

from app.cli import moving
from app.clock import Clock
from app.ledger import guard
from app.plane.house import Plane, PlaneSettings
from app.settings import TOKEN_FILE
from tests.cli.conftest import Terminal
from tests.cli.test_captain import SHIPYARD, said
from tests.strict.client import StrictKeptn

FILES = {
    ("", "", "shipyard.yaml"): json.dumps(SHIPYARD),
    ("", "", "job/config.yaml"): "apiVersion: v2\nactions: []\n",
    ("", "", "dev/notes.md"): "a folder called as a stage",
    ("dev", "", "slo.yaml"): "dev",
    ("dev", "hello", "job/config.yaml"): "apiVersion: v2\nactions: []\n",
    ("dev", "hello", "a b/ü&+%.txt"): "odd name",
    ("prod", "hello", "services/x.yaml"): "no level below a service",
}
"""By stage, service and name."""


def files_in(folder: Path) -> dict[str, str]:
    """All files below a folder."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text() for path in paths}


@pytest.fixture
def project(strict: StrictKeptn) -> str:
    """A project of the double."""
    name = f"p{uuid.uuid4().hex[:12]}"
    for (stage, service, uri), content in FILES.items():
        strict.resource(content, name, stage, service, uri=uri)
    strict.resource("of Keptn", name, "dev", uri="metadata.yaml")
    strict.resource("", name, "prod", "idle", uri="metadata.yaml")
    for once_more in ("hello/job/config.yaml", "services/hello/job/config.yaml"):
        strict.resource("as the stage's branch has it", name, "dev", uri=once_more)
    return name


@pytest.fixture
def terminal(strict: StrictKeptn, tmp_path: Path) -> Terminal:
    """Somebody who knows the double as the live Keptn."""
    terminal = Terminal(tmp_path / "data")
    said(terminal.run("auth", "-e", strict.api_url, "-a", strict.token))
    return terminal


@pytest.mark.slow
@pytest.mark.parametrize("version", ["0.17.2", "0.18.2", "1.4.5"])
def test_a_project_is_imported_whole(
    strict: StrictKeptn, terminal: Terminal, project: str, tmp_path: Path, version: str
) -> None:
    strict.update(version)
    told = said(terminal.run("import", project, str(tmp_path / "copy")))

    assert files_in(tmp_path / "copy") == {
        "shipyard.yaml": json.dumps(SHIPYARD),
        "job/config.yaml": "apiVersion: v2\nactions: []\n",
        "dev/notes.md": "a folder called as a stage",
        "stages/dev/slo.yaml": "dev",
        "stages/dev/services/hello/job/config.yaml": "apiVersion: v2\nactions: []\n",
        "stages/dev/services/hello/a b/ü&+%.txt": "odd name",
        "stages/prod/services/hello/services/x.yaml": "no level below a service",
    }
    assert (tmp_path / "copy/stages/prod/services/idle").is_dir()
    assert f"firstmate serve {tmp_path}/copy --project {project}" in told


@pytest.mark.slow
def test_what_has_no_place_in_a_folder_is_named(
    strict: StrictKeptn, terminal: Terminal, project: str, tmp_path: Path
) -> None:
    odd = [("", "stages/dev/slo.yaml"), ("dev", "services/x"), ("dev", ".hidden"), ("", "a/.b/c")]
    for stage, uri in odd:
        strict.resource("odd", project, stage, uri=uri)

    told = said(terminal.run("import", project, str(tmp_path / "copy"))).splitlines()

    left = [line for line in told if line.startswith("left out, for it has no place in a folder: ")]
    assert len(left) == len(odd)
    assert "odd" not in files_in(tmp_path / "copy").values()


@pytest.mark.parametrize("level", [("p", ".."), ("p", "s", "../../x"), ("p", "/etc")])
def test_no_name_leads_out_of_the_folder(level: tuple[str, ...], tmp_path: Path) -> None:
    found = {("p",): {"shipyard.yaml": b""}, level: {"file": b"evil"}}

    told = moving.write(found, tmp_path / "in", force=False)

    assert "left out" in told
    assert files_in(tmp_path) == {"in/shipyard.yaml": ""}


@pytest.mark.slow
def test_a_keptn_that_stumbles_is_asked_again(
    strict: StrictKeptn, terminal: Terminal, project: str, tmp_path: Path
) -> None:
    strict.faults({"mode": "503", "where": "resource", "project": project, "times": 2})

    said(terminal.run("import", project, str(tmp_path / "copy")))

    assert len(files_in(tmp_path / "copy")) == len(FILES)


@pytest.mark.slow
def test_a_folder_that_is_not_empty_is_left_alone(
    terminal: Terminal, project: str, tmp_path: Path
) -> None:
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy/shipyard.yaml").write_text("mine")

    done = terminal.run("import", project, str(tmp_path / "copy"))
    assert (done.exit_code, "is not empty: --force writes into it" in done.output) == (1, True)
    assert files_in(tmp_path / "copy") == {"shipyard.yaml": "mine"}

    said(terminal.run("import", project, str(tmp_path / "copy"), "--force"))
    assert len(files_in(tmp_path / "copy")) == len(FILES)


@pytest.mark.slow
def test_a_project_that_is_not_there_leaves_no_folder(terminal: Terminal, tmp_path: Path) -> None:
    done = terminal.run("import", "nothing", str(tmp_path / "copy"))

    assert (done.exit_code, "no project nothing at " in done.output) == (1, True)
    assert not (tmp_path / "copy").exists()


def test_import_needs_a_live_keptn(tmp_path: Path) -> None:
    done = Terminal(tmp_path).run("import", "p")

    assert (done.exit_code, "no live Keptn is known: use `firstmate auth`" in done.output) == (
        1,
        True,
    )


@pytest.mark.slow
def test_what_was_imported_can_be_served(terminal: Terminal, project: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    said(terminal.run("import", project, str(copy)))

    plane = Plane(PlaneSettings(copy, project, tmp_path, "t", "http://127.0.0.1:9"), Clock())

    assert plane.project == project
    plane.close()


@pytest.mark.slow
def test_export_asks_the_plane_and_not_the_live_keptn(
    strict: StrictKeptn, terminal: Terminal, project: str, tmp_path: Path
) -> None:
    lock = guard.Lock(tmp_path / "data")
    lock.take("now")
    lock.describe({"api": strict.api_url})
    (tmp_path / "data" / TOKEN_FILE).write_text(strict.token)
    try:
        said(
            terminal.run(
                "export", project, str(tmp_path / "copy"), KEPTN_API_ENDPOINT="http://127.0.0.1:9"
            )
        )
    finally:
        lock.release()

    assert len(files_in(tmp_path / "copy")) == len(FILES)
