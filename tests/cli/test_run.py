"""`firstmate run`: a job config and an event, tried on this machine, without any Keptn."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.cli import main
from tests.captain import config
from tests.cli.conftest import ROOT
from tests.conftest import document

SAY = ("sh", "-c")
COMMAND = (sys.executable, "-m", "app", "run")


def run(folder: Path, *words: str, given: str | bytes = "", **environment: str) -> Result:
    """The command on the folder's job config."""
    file = folder / "jobconfig.yaml"
    env = {"RUNNER": "process", "SECRETS_PATH": None, "KUBERNETES_SERVICE_HOST": None}
    return CliRunner().invoke(
        main, ["run", "-f", str(file), *words], input=given, env={**env, **environment}
    )


def ask(folder: Path, task: str = "test", /, **environment: str) -> Result:
    """The command with no more of an event than its type."""
    given = json.dumps({"type": f"sh.keptn.event.{task}.triggered"})
    return run(folder, "--event", "-", given=given, **environment)


def messages(text: str) -> list[dict[str, Any]]:
    """The JSON objects on standard output."""
    found, decoder = [], json.JSONDecoder()
    while text := text.strip():
        one, end = decoder.raw_decode(text)
        found.append(one)
        text = text[end:]
    return found


def write(folder: Path, *cmd: str, **more: Any) -> Path:
    (folder / "jobconfig.yaml").write_text(config(*cmd, **more))
    return folder


@pytest.mark.slow
def test_the_readmes_first_job_config_is_run_by_the_readmes_command(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text()
    (tmp_path / "jobconfig.yaml").write_text(readme.partition("```yaml\n")[2].partition("```")[0])
    event = readme.partition("echo '")[2].partition("' |")[0]

    done = run(tmp_path, "--event", "-", given=event)

    assert done.exit_code == 0, done.output
    assert "feature x is off" in done.stderr


@pytest.mark.parametrize(
    "given",
    ['{"type": NaN}', '{"type": "\\ud800"}', "[" * 3000, b"\xff\xfe", "no JSON"],
    ids=["a number that is none", "half a character", "deep", "no text", "words"],
)
def test_an_event_that_a_door_would_not_take_is_told(tmp_path: Path, given: str | bytes) -> None:
    write(tmp_path, "true")
    done = run(tmp_path, "--event", "-", given=given)
    assert done.exit_code == 1
    assert done.output.startswith("firstmate: the event is not JSON: ")


@pytest.mark.slow
def test_a_link_that_leads_out_of_the_project_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("planted")
    (home := tmp_path / "project" / "scripts").mkdir(parents=True)
    (home / "link").symlink_to(tmp_path / "secret")
    (home / "plain").write_text("plain")
    write(tmp_path / "project", *SAY, "ls scripts", files=["scripts"])
    done = ask(tmp_path / "project")
    assert "plain" in done.output
    assert "link" not in done.output


@pytest.mark.slow
def test_the_messages_for_keptn_are_printed_and_the_output_goes_beside_them(tmp_path: Path) -> None:
    write(tmp_path, *SAY, "echo to $KEPTN_STAGE")
    done = run(tmp_path, "--event", "-", given=json.dumps(document(traceparent="00-a-b-01")))

    started, finished = messages(done.stdout)
    assert done.exit_code == 0
    assert done.stderr == "=== Do ===\nto s\n"
    assert started["type"] == "sh.keptn.event.test.started"
    assert finished["triggeredid"] == document()["id"]
    assert finished["data"]["result"] == "pass"
    assert {started["traceparent"], finished["traceparent"]} == {"00-a-b-01"}


@pytest.mark.slow
def test_a_type_and_data_are_enough_of_an_event(tmp_path: Path) -> None:
    write(tmp_path, "true")
    file = tmp_path / "event.json"
    file.write_text(
        json.dumps({"type": "sh.keptn.event.test.triggered", "data": {"project": "shop"}})
    )
    done = run(tmp_path, "--event", str(file))

    finished = messages(done.stdout)[-1]["data"]
    assert [finished[key] for key in ("project", "stage", "service")] == ["shop", "local", "local"]


@pytest.mark.slow
def test_the_data_of_the_event_are_there(tmp_path: Path) -> None:
    write(tmp_path, *SAY, 'echo "feature $F"', env=[feature()])
    event = {"type": "sh.keptn.event.test.triggered", "data": {"action": {"value": "dark"}}}
    done = run(tmp_path, "--event", "-", given=json.dumps(event))
    assert "feature dark" in done.stderr


def feature() -> dict[str, str]:
    return {"name": "F", "value": "$.data.action.value", "valueFrom": "event"}


@pytest.mark.slow
def test_work_that_fails_ends_with_one(tmp_path: Path) -> None:
    done = ask(write(tmp_path, "false"))
    assert done.exit_code == 1
    assert messages(done.stdout)[-1]["data"]["result"] == "fail"


@pytest.mark.slow
def test_files_lie_in_the_folder_and_secrets_in_secrets_path(tmp_path: Path) -> None:
    (tmp_path / "secrets/db").mkdir(parents=True)
    (tmp_path / "secrets/db/PASSWORD").write_text("open sesame")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/one.txt").write_text("one\n")
    env = [{"name": "db", "valueFrom": "secret"}]
    write(tmp_path, *SAY, "cat data/one.txt; echo ${#PASSWORD}", files=["data"], env=env)
    done = ask(tmp_path, SECRETS_PATH=str(tmp_path / "secrets"))
    assert done.stderr.endswith("=== Do ===\none\n11\n")


@pytest.mark.slow
def test_levels_are_those_of_the_layout_around_the_config(tmp_path: Path) -> None:
    home = tmp_path / "stages/dev/services/cart"
    home.mkdir(parents=True)
    (tmp_path / "of-project.txt").write_text("project\n")
    (tmp_path / "stages/dev/of-stage.txt").write_text("stage\n")
    write(home, *SAY, "cat of-project.txt of-stage.txt; echo $KEPTN_SERVICE@$KEPTN_STAGE")
    text = json.loads((home / "jobconfig.yaml").read_text())
    text["actions"][0]["tasks"][0]["files"] = ["of-project.txt", "of-stage.txt"]
    (home / "jobconfig.yaml").write_text(json.dumps(text))
    assert ask(home).stderr.endswith("project\nstage\ncart@dev\n")


def test_what_matches_nothing_says_why_and_ends_with_one(tmp_path: Path) -> None:
    done = ask(write(tmp_path, "true"), "release")
    assert done.exit_code == 1
    assert "no action matches sh.keptn.event.release.triggered" in done.stderr
    assert "it has: 'Act'; nothing would be sent" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("{", "the event is not JSON: "),
        ("[]", "the event must be a JSON object with a `type`, and `data` an object"),
        ('{"type": "t", "data": 1}', "the event must be a JSON object"),
        ("{}", "not a CloudEvent: type: Field required"),
        ('{"type": "sh.keptn.events.problem"}', "not a task's triggered event"),
        ('{"type": "sh.keptn.event.test.triggered", "data": {"stage": 5}}', "data.stage must be"),
    ],
    ids=["no JSON", "no object", "no data", "no type", "not triggered", "odd stage"],
)
def test_what_is_no_event_is_told_in_one_line(tmp_path: Path, given: str, said: str) -> None:
    done = run(write(tmp_path, "true"), "--event", "-", given=given)
    assert (done.exit_code, said in done.stderr) == (1, True)


def test_a_broken_config_is_told_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "jobconfig.yaml").write_text("apiVersion: v2\naction: []\n")
    done = ask(tmp_path)
    assert (done.exit_code, "jobconfig.yaml:2:1: action: unknown key" in done.stderr) == (1, True)


def test_an_event_is_asked_for(tmp_path: Path) -> None:
    assert run(write(tmp_path, "true")).exit_code == 2


@pytest.mark.slow
def test_a_silent_action_runs_and_sends_nothing(tmp_path: Path) -> None:
    write(tmp_path, "echo", "hush")
    text = json.loads((tmp_path / "jobconfig.yaml").read_text())
    text["actions"][0]["silent"] = True
    (tmp_path / "jobconfig.yaml").write_text(json.dumps(text))
    done = ask(tmp_path)
    assert (done.exit_code, done.stdout, "hush" in done.stderr) == (0, "", True)


@pytest.mark.slow
def test_output_comes_while_the_job_runs_and_ctrl_c_cancels_it(tmp_path: Path) -> None:
    write(tmp_path, *SAY, "echo first; exec sleep 60")
    (tmp_path / "event.json").write_text('{"type": "sh.keptn.event.test.triggered"}')
    files = ("-f", str(tmp_path / "jobconfig.yaml"), "--event", str(tmp_path / "event.json"))
    process = subprocess.Popen(
        [*COMMAND, *files],
        cwd=Path(__file__).parents[2],
        env={"PATH": os.environ["PATH"], "RUNNER": "process"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    begun = time.monotonic()
    while process.stderr.readline() != "first\n":
        assert time.monotonic() < begun + 20
    process.send_signal(signal.SIGINT)
    told = process.communicate(timeout=20)[0]
    assert process.returncode == 130
    assert "cancelled" in messages(told)[-1]["data"]["message"]


def test_what_the_policy_forbids_says_why_and_ends_with_one(tmp_path: Path) -> None:
    done = ask(write(tmp_path, "true"), ALLOWED_IMAGE_LIST="busybox")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "`images`: alpine fits none of busybox" in done.stderr
