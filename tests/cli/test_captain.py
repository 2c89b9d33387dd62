"""The commands that `keptn` has too, typed at a live Keptn: the strict double."""

import json
import stat
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result

from app.cli.remote import AUTH_FILE
from tests.cli.conftest import Terminal
from tests.strict.client import StrictKeptn

pytestmark = pytest.mark.slow

SHIPYARD = {
    "apiVersion": "spec.keptn.sh/0.2.4",
    "kind": "Shipyard",
    "metadata": {"name": "shipyard"},
    "spec": {"stages": [{"name": "dev", "sequences": []}, {"name": "prod", "sequences": []}]},
}
Keptn = Callable[..., Result]


@pytest.fixture
def keptn(strict: StrictKeptn, tmp_path: Path) -> Keptn:
    """Types a command with the double as the live Keptn."""
    there = {"KEPTN_API_ENDPOINT": strict.api_url, "KEPTN_API_TOKEN": strict.token}

    def type_in(*words: str, **more: str) -> Result:
        return Terminal(tmp_path / "data").run(*words, **{**there, **more})

    return type_in


@pytest.fixture
def project(keptn: Keptn, tmp_path: Path) -> str:
    """A new project with the stages dev and prod, and the service hello."""
    name = f"p{uuid.uuid4().hex[:12]}"
    shipyard = tmp_path / "shipyard.yaml"
    shipyard.write_text(json.dumps(SHIPYARD))
    assert said(keptn("create", "project", name, "--shipyard", str(shipyard))) == (
        "Project created successfully"
    )
    assert said(keptn("create", "service", "hello", "--project", name)) == (
        "Service created successfully"
    )
    return name


def said(done: Result) -> str:
    """What a command printed that did its work."""
    assert done.exit_code == 0, done.output
    return done.output.strip()


def seen(keptn: Keptn, context: str, project: str) -> list[dict[str, Any]]:
    """The events of a run, the newest first."""
    found = said(keptn("get", "event", "--project", project, "--keptn-context", context))
    events = json.loads(found)
    return events if isinstance(events, list) else [events]


def context_in(done: Result) -> str:
    return said(done).removeprefix("ID of Keptn context: ")


def test_a_project_is_shown_as_keptn_shows_it(keptn: Keptn, project: str) -> None:
    heading, row = said(keptn("get", "project", project)).splitlines()

    assert heading.split("  ")[0].strip() == "NAME"
    assert row.split() == [project, "2020-05-28T08:25:50.000Z", "spec.keptn.sh/0.2.4"]


def test_stages_and_services_are_listed(keptn: Keptn, project: str) -> None:
    stages = said(keptn("get", "stages", "--project", project)).splitlines()
    services = said(keptn("get", "services", "--project", project)).splitlines()

    assert [row.split() for row in stages[1:]] == [["dev", "n/a"], ["prod", "n/a"]]
    assert [row.split()[:3] for row in services[1:]] == [
        ["hello", project, "dev"],
        ["hello", project, "prod"],
    ]


@pytest.mark.parametrize(("output", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_a_project_is_printed_whole_for_scripts(
    keptn: Keptn, project: str, output: str, read: Callable[[str], Any]
) -> None:
    view = read(said(keptn("get", "project", project, "-o", output)))

    assert [stage["stageName"] for stage in view["stages"]] == ["dev", "prod"]


@pytest.mark.parametrize("what", ["project", "stage", "service"])
def test_what_is_not_there_is_an_error(keptn: Keptn, project: str, what: str) -> None:
    words = ["get", what, "nothing"] + (["--project", project] if what != "project" else [])

    done = keptn(*words)

    said = "no project nothing at " if what == "project" else f"there is no {what} nothing\n"
    assert (done.exit_code, said in done.output) == (1, True)


def test_the_git_of_a_new_project_is_told(keptn: Keptn, project: str, tmp_path: Path) -> None:
    shipyard = str(tmp_path / "shipyard.yaml")
    git = ("--git-remote-url", "https://git/x", "--git-user", "me")

    said(keptn("create", "project", f"{project}-git", "-s", shipyard, *git, GIT_TOKEN="hidden"))

    view = json.loads(said(keptn("get", "project", f"{project}-git", "-o", "json")))
    assert view["gitCredentials"] == {"remoteURL": "https://git/x", "user": "me"}


def test_what_keptn_refuses_is_told_in_its_words(keptn: Keptn, project: str) -> None:
    done = keptn("create", "service", "hello", "--project", project)

    assert done.exit_code == 1
    assert "status 409 (service already exists)" in done.output


def test_what_is_deleted_is_gone(keptn: Keptn, project: str) -> None:
    said(keptn("delete", "service", "hello", "--project", project))
    assert keptn("get", "service", "--project", project).exit_code == 1

    said(keptn("delete", "project", project))
    assert keptn("get", "project", project).exit_code == 1


@pytest.mark.parametrize(
    ("words", "levels"),
    [
        ((), [""]),
        (("--stage", "dev"), ["stages/dev"]),
        (("--all-stages",), ["stages/dev", "stages/prod"]),
        (
            ("--all-stages", "--service", "hello"),
            ["stages/dev/services/hello", "stages/prod/services/hello"],
        ),
        (("--stage", "prod", "--service", "hello"), ["stages/prod/services/hello"]),
    ],
    ids=["project", "stage", "all stages", "a service in all stages", "service"],
)
@pytest.mark.parametrize("version", ["0.17.2", "1.4.5"])
def test_a_resource_is_added_on_a_level(
    strict: StrictKeptn,
    keptn: Keptn,
    project: str,
    tmp_path: Path,
    *,
    words: tuple[str, ...],
    levels: list[str],
    version: str,
) -> None:
    strict.update(version)
    file = tmp_path / "slo.yaml"
    file.write_bytes(b"objectives: \xff")
    words = ("--project", project, "--resource", str(file), "--resourceUri", "a b/slo.yaml", *words)

    assert said(keptn("add-resource", *words)) == "Resource has been uploaded."

    copy = tmp_path / "copy"
    said(keptn("import", project, str(copy)))
    assert {path.parents[1] for path in copy.rglob("slo.yaml")} == {copy / at for at in levels}
    assert {path.read_bytes() for path in copy.rglob("slo.yaml")} == {b"objectives: \xff"}


@pytest.mark.parametrize(
    "words", [("--stage", "dev", "--all-stages"), ("--service", "hello")], ids=["both", "neither"]
)
def test_a_resource_needs_one_place(
    keptn: Keptn, project: str, tmp_path: Path, words: tuple[str, ...]
) -> None:
    file = str(tmp_path / "shipyard.yaml")

    done = keptn("add-resource", "--project", project, "--resource", file, *words)

    assert (done.exit_code, "name one of --stage and --all-stages" in done.output) == (2, True)


def test_a_delivery_goes_to_the_first_stage(keptn: Keptn, project: str) -> None:
    words = ("--project", project, "--service", "hello", "--image", "carts:1", "--values", "a=b")

    context = context_in(keptn("trigger", "delivery", *words))

    triggered = seen(keptn, context, project)[-1]
    assert triggered["type"] == "sh.keptn.event.dev.delivery.triggered"
    assert triggered["data"]["configurationChange"] == {"values": {"image": "carts:1", "a": "b"}}


def test_a_service_that_keptn_does_not_know_is_not_triggered(keptn: Keptn, project: str) -> None:
    words = ("--project", project, "--stage", "dev", "--service", "none")

    done = keptn("trigger", "sequence", "delivery", *words)

    assert done.exit_code == 1
    assert f"no service none in {project}/dev at " in done.output
    assert "there are: hello" in done.output


def test_labels_may_be_given_one_by_one(keptn: Keptn, project: str) -> None:
    words = ("--project", project, "--stage", "dev", "--service", "hello")

    context = context_in(keptn("trigger", "sequence", "x", *words, "-l", "a=b", "--labels=c=d,e=f"))

    assert seen(keptn, context, project)[-1]["data"]["labels"] == {"a": "b", "c": "d", "e": "f"}


def test_an_evaluation_is_asked_for(keptn: Keptn, project: str) -> None:
    words = ("--project", project, "--stage", "dev", "--service", "hello", "--labels", "a=b")

    context = context_in(keptn("trigger", "evaluation", *words, "--timeframe", "10m"))

    triggered = seen(keptn, context, project)[-1]
    assert triggered["type"] == "sh.keptn.event.dev.evaluation.triggered"
    assert triggered["data"]["evaluation"]["timeframe"] == "10m"
    assert triggered["data"]["labels"] == {"a": "b"}


def test_an_event_is_sent_as_it_is(keptn: Keptn, project: str, tmp_path: Path) -> None:
    event = {
        "specversion": "1.0",
        "source": "me",
        "type": "sh.keptn.event.dev.delivery.triggered",
        "data": {"project": project, "stage": "dev", "service": "hello", "n": 5},
    }
    file = tmp_path / "event.json"
    file.write_text(json.dumps(event))

    context = context_in(keptn("send", "event", "-f", str(file)))

    assert seen(keptn, context, project)[-1]["data"] == event["data"]


def test_a_file_that_is_no_event_is_named(keptn: Keptn, tmp_path: Path) -> None:
    file = tmp_path / "event.json"
    file.write_text("{")

    done = keptn("send", "event", "--file", str(file))

    assert (done.exit_code, f"{file} is not JSON" in done.output) == (1, True)


def test_no_event_is_no_error(keptn: Keptn, project: str) -> None:
    assert said(keptn("get", "event", "x", "--project", project)) == "No event returned"


def test_no_more_pages_of_events_are_read_than_wanted(keptn: Keptn, project: str) -> None:
    for _ in range(3):
        words = ("--project", project, "--service", "hello", "--image", "i")
        said(keptn("trigger", "delivery", *words))
    of_type = ("sh.keptn.event.dev.delivery.triggered", "--project", project, "--page-size", "1")

    found = json.loads(said(keptn("get", "events", *of_type, "--num-of-pages", "2")))

    assert len(found) == 2


@pytest.mark.parametrize("words", [("sequence", "{}"), ("{}", "sequence")], ids=["ours", "keptn's"])
def test_a_run_is_paused_resumed_and_aborted(
    keptn: Keptn, strict: StrictKeptn, project: str, words: tuple[str, str]
) -> None:
    run = strict.trigger(["test"], project, "dev", "hello")

    for order, state in {"pause": "paused", "resume": "started", "abort": "aborted"}.items():
        typed = [word.format(order) for word in words]
        said(keptn(*typed, "--project", project, "--keptn-context", run["context"]))
        assert strict.task(run["triggeredid"])["sequence"] == state


class TestAuth:
    """`firstmate auth`."""

    def test_a_keptn_is_remembered(self, strict: StrictKeptn, project: str, tmp_path: Path) -> None:
        terminal = Terminal(tmp_path / "mine")
        words = ("--endpoint", strict.api_url, "--api-token", strict.token)

        told = said(terminal.run("auth", *words))

        assert told == f"Successfully authenticated against the Keptn cluster {strict.api_url}"
        assert project in said(terminal.run("get", "projects"))
        assert stat.S_IMODE((tmp_path / "mine" / AUTH_FILE).stat().st_mode) == 0o600

    @pytest.mark.parametrize("tail", ["", "/", "/api", "/api/"])
    def test_the_api_is_found_below_its_host(
        self, strict: StrictKeptn, tmp_path: Path, tail: str
    ) -> None:
        words = ("--endpoint", strict.sidecar_url + tail, "--api-token", strict.token)

        assert said(Terminal(tmp_path).run("auth", *words)).endswith(f" {strict.api_url}")

    def test_a_wrong_token_is_not_remembered(self, strict: StrictKeptn, tmp_path: Path) -> None:
        done = Terminal(tmp_path).run("auth", "-e", strict.api_url, KEPTN_API_TOKEN="wrong")

        assert (done.exit_code, "status 401 (unauthorized)" in done.output) == (1, True)
        assert "wrong" not in done.output
        assert not list(tmp_path.iterdir())

    def test_what_is_no_url_is_not_remembered(self, tmp_path: Path) -> None:
        done = Terminal(tmp_path).run("auth", "-e", "keptn.example", "-a", "t")

        assert (done.exit_code, "keptn.example" in done.output) == (1, True)
        assert not list(tmp_path.iterdir())

    def test_a_keptn_is_forgotten(self, strict: StrictKeptn, tmp_path: Path) -> None:
        terminal = Terminal(tmp_path)
        said(terminal.run("auth", "-e", strict.api_url, "-a", strict.token))

        said(terminal.run("auth", "--forget"))

        assert "no control plane runs" in terminal.run("get", "projects").output
