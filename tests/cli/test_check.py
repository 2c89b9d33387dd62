"""What `firstmate check` finds in a project's files, and how it ends."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.cli import main

SHIPYARD = """apiVersion: spec.keptn.sh/0.2.3
kind: Shipyard
metadata: {name: podtato, labels: {team: a}}
spec:
  stages:
    - name: dev
      sequences:
        - name: delivery
          tasks:
            - name: test
              properties: {strategy: fast}
"""
CONFIG = """apiVersion: v2
actions:
  - name: Test
    events:
      - name: sh.keptn.event.test.triggered
    tasks:
      - name: Run
        image: alpine
        cmd: [echo]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project without faults, which is the current folder."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "shipyard.yaml", SHIPYARD)
    write(tmp_path, "stages/dev/services/cart/job/config.yaml", CONFIG)
    return tmp_path


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def check(*words: str) -> Result:
    return CliRunner().invoke(main, ["check", *words], env={"RUNNER": "process"})


def test_a_project_without_faults_passes_in_silence(folder: Path) -> None:
    assert (check("--strict").exit_code, check().output) == (0, "")


def test_a_folder_without_files_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = check()
    assert (done.exit_code, "name the files" in done.output) == (1, True)


def test_a_folder_stands_for_its_project(folder: Path) -> None:
    write(folder, "other/jobconfig.yaml", CONFIG.replace("image", "imag"))
    assert check("other").output.startswith("other/jobconfig.yaml:8:")


def test_a_file_that_is_not_there_is_named(folder: Path) -> None:
    done = check("none.yaml")
    assert (done.exit_code, "none.yaml cannot be read" in done.output) == (1, True)


def test_an_unknown_key_comes_with_its_place_and_the_nearest_known_one(folder: Path) -> None:
    write(folder, "jobconfig.yaml", CONFIG.replace("image:", "imag:"))
    done = check()
    assert done.exit_code == 1
    assert done.output.startswith("jobconfig.yaml:8:9: error: ")
    assert "did you mean `image`" in done.output


def test_warnings_fail_only_when_asked_to(folder: Path) -> None:
    write(folder, "jobconfig.yaml", CONFIG.replace("        cmd: [echo]\n", ""))
    assert (check().exit_code, check("--strict").exit_code) == (0, 1)
    assert "warning: a task without `cmd`" in check().output


def test_json_has_an_object_for_each_finding(folder: Path) -> None:
    write(folder, "jobconfig.yaml", CONFIG.replace("image: alpine", "image: [a]"))
    (found,) = json.loads(check("--json").output)
    place = {"file": "jobconfig.yaml", "line": 8, "column": 16, "severity": "error"}
    assert found.items() >= place.items()
    assert "must be a text" in found["text"]


def test_json_without_findings_is_an_empty_list(folder: Path) -> None:
    assert json.loads(check("--json").output) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("tasks:", "task:", "9:11: warning: Keptn ignores the key `task`, did you mean `tasks`?"),
        ("name: dev", "name: DEV", "6:13: error: spec.stages.0.name: "),
        ("0.2.3", "0.1.7", "1:13: error: apiVersion: "),
        ("name: delivery", "name: [a", "9:16: error: no valid YAML: "),
        ("fast}", "fast}\n              triggeredAfter: 5 minutes", "12:31: error: triggeredAf"),
        ("stages:", "stage:", "5:3: warning: Keptn ignores the key `stage`, did you mean `sta"),
    ],
    ids=["unknown key", "value", "version", "no yaml", "duration", "required key"],
)
def test_a_shipyards_faults_have_their_place(folder: Path, old: str, new: str, said: str) -> None:
    write(folder, "shipyard.yaml", SHIPYARD.replace(old, new, 1))
    assert f"shipyard.yaml:{said}" in check().output


def test_what_belongs_to_an_integration_may_have_any_keys(folder: Path) -> None:
    write(folder, "shipyard.yaml", SHIPYARD.replace("strategy: fast", "task: {a: 1}, owner: me"))
    assert check("--strict").output == ""


def test_a_task_that_no_action_is_for_is_told(folder: Path) -> None:
    write(folder, "shipyard.yaml", SHIPYARD.replace("- name: test", "- name: release"))
    assert "shipyard.yaml:10:21: warning: no action is for sh.keptn.event.release" in check().output


def test_an_event_name_that_no_task_has_is_told(folder: Path) -> None:
    extra = "      - name: sh.keptn.event.tset.triggered\n    tasks:"
    write(folder, "jobconfig.yaml", CONFIG.replace("    tasks:", extra))
    assert check().output.splitlines() == [
        "jobconfig.yaml:6:15: warning: event name `sh.keptn.event.tset.triggered` is in no shipyard"
    ]


def test_a_file_is_known_by_what_it_holds(folder: Path) -> None:
    write(folder, "anything.txt", SHIPYARD.replace("tasks:", "task:", 1))
    write(folder, "shipyard-of-jobs.yml", CONFIG.replace("image:", "imag:"))
    told = check("anything.txt", "shipyard-of-jobs.yml").output
    assert "anything.txt:9:11: warning: Keptn ignores" in told
    assert "shipyard-of-jobs.yml:8:9: error: actions[0].tasks[0].imag: unknown key" in told


def test_the_schema_is_that_of_the_kind() -> None:
    done = CliRunner().invoke(main, ["schema"])
    assert "actions" in json.loads(done.output)["properties"]


def test_routes_are_checked_with_their_place_and_the_nearest_known_key(folder: Path) -> None:
    routes = "apiVersion: firstmate/v1\nchannels: [{name: a, kind: log}]\nroute: []\n"
    write(folder, "routes.yaml", routes)
    assert "routes.yaml:3:1: error: route: unknown key, did you mean `routes`" in check().output


def test_the_schema_of_routes_is_there_too() -> None:
    done = CliRunner().invoke(main, ["schema", "routes"])
    assert {"channels", "routes"} <= json.loads(done.output)["properties"].keys()


def test_a_policy_is_checked_with_its_place_and_the_nearest_known_key(folder: Path) -> None:
    write(folder, "policy.yaml", "apiVersion: firstmate/v1\nrules: {image: [alpine]}\n")
    assert "policy.yaml:2:9: error: rules.image: unknown key, did you mean `images`" in (
        check().output
    )


def test_the_schema_of_a_policy_is_there_too() -> None:
    done = CliRunner().invoke(main, ["schema", "policy"])
    assert {"rules", "projects"} <= json.loads(done.output)["properties"].keys()


def test_a_shipyard_that_says_a_thing_twice_is_told(folder: Path) -> None:
    write(folder, "shipyard.yaml", SHIPYARD.replace("kind:", "kind: Shipyard\nkind:"))
    assert "shipyard.yaml:3:1: warning: key `kind` is written twice" in check().output


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    base=st.sampled_from([SHIPYARD, CONFIG, "channels: [{name: a}]\n"]),
    cut=st.tuples(st.integers(0, 300), st.integers(0, 40)),
    new=st.text(alphabet=st.sampled_from("abe:-[]{}\"'&*<|~!%@0.\n #"), max_size=12),
)
def test_whatever_stands_in_a_file_check_ends_in_findings(
    folder: Path, base: str, cut: tuple[int, int], new: str
) -> None:
    begin, length = cut
    write(folder, "any.yaml", base[:begin] + new + base[begin + length :])
    done = check("any.yaml")
    assert isinstance(done.exception, SystemExit | None), done.exception
    assert all(line.startswith("any.yaml:") for line in done.output.splitlines())
