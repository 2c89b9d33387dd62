"""The commands that `keptn` has too, typed at the embedded plane of a running service."""

import json
import uuid
from pathlib import Path

import pytest

from tests.cli.conftest import Terminal
from tests.cli.test_captain import SHIPYARD, said
from tests.cli.test_moving import files_in

pytestmark = pytest.mark.slow


@pytest.fixture
def project(terminal: Terminal, tmp_path: Path) -> str:
    """A new project with the stages dev and prod, and the service svc."""
    name = f"p{uuid.uuid4().hex[:12]}"
    (tmp_path / "shipyard.yaml").write_text(json.dumps(SHIPYARD))
    shipyard = str(tmp_path / "shipyard.yaml")
    said(terminal.run("create", "project", name, "--shipyard", shipyard))
    said(terminal.run("create", "service", "svc", "--project", name))
    return name


def test_a_project_made_over_the_api_comes_out_as_a_folder(
    terminal: Terminal, project: str, tmp_path: Path
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("apiVersion: v2")
    words = ("--project", project, "--resource", str(file), "--resourceUri", "job/config.yaml")
    said(terminal.run("add-resource", *words))
    said(terminal.run("add-resource", *words, "--stage", "dev"))
    said(terminal.run("add-resource", *words, "--all-stages", "--service", "svc"))

    said(terminal.run("export", project, str(tmp_path / "copy")))

    assert files_in(tmp_path / "copy") == {
        "shipyard.yaml": json.dumps(SHIPYARD),
        "job/config.yaml": "apiVersion: v2",
        "stages/dev/job/config.yaml": "apiVersion: v2",
        "stages/dev/services/svc/job/config.yaml": "apiVersion: v2",
        "stages/prod/services/svc/job/config.yaml": "apiVersion: v2",
    }


def test_projects_stages_and_services_are_shown(terminal: Terminal, project: str) -> None:
    services = said(terminal.run("get", "services", "--project", project)).splitlines()[1:]
    stages = said(terminal.run("get", "stages", "--project", project)).splitlines()[1:]

    assert project in said(terminal.run("get", "projects"))
    assert [row.split()[:3] for row in services] == [
        ["svc", project, "dev"],
        ["svc", project, "prod"],
    ]
    assert [row.split()[0] for row in stages] == ["dev", "prod"]


def test_what_is_deleted_is_gone(terminal: Terminal, project: str) -> None:
    said(terminal.run("delete", "service", "svc", "--project", project))
    assert terminal.run("get", "services", "--project", project).exit_code == 1

    said(terminal.run("delete", "project", project))
    assert terminal.run("get", "project", project).exit_code == 1


def test_a_sequence_that_nobody_works_at_is_aborted(terminal: Terminal) -> None:
    scope = ("--project", "botkube", "--stage", "production", "--service", "nobody-answers-this")
    triggered = said(terminal.run("trigger", "evaluation", *scope, "--json"))
    context = json.loads(triggered)["keptnContext"]

    said(terminal.run("sequence", "abort", "--project", "botkube", "--keptn-context", context))

    of_run = ("--project", "botkube", "--keptn-context", context)
    ended = "sh.keptn.event.production.evaluation.finished"
    events = json.loads(said(terminal.run("get", "event", ended, *of_run)))
    assert events["data"]["status"] == "aborted"
