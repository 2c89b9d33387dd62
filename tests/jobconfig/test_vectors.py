"""The rows that the real Go code answered: files, patterns, paths, matches and environments."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from app.document.typed import FileError
from app.errors import Permanent
from app.events.parse import Event
from app.jobconfig.env import environment, event_map
from app.jobconfig.match import matching, name_matches
from app.jobconfig.paths import find
from app.jobconfig.read import JobConfig, Task, read, readable_event_names
from app.jobconfig.values import as_json, as_plain, as_yaml
from tests.jobconfig.differences import DIFFERENCES
from tests.jobconfig.rows import rows

OUR_KEYS = {"on_failure", "logs", "retries", "active_deadline_seconds", "network", "pod"}
Row = dict[str, Any]
Answer = dict[str, Any]


def answer(ask: Callable[[], Any]) -> Answer:
    try:
        return {"out": ask()}
    except (Permanent, ValueError) as error:
        return {"error": str(error)}


def as_go(value: Any) -> Any:
    """Go reads every number as a float64."""
    match value:
        case int() if not isinstance(value, bool):
            return float(value)
        case list():
            return [as_go(each) for each in value]
        case dict():
            return {key: as_go(each) for key, each in value.items()}
    return value


def expect(file: str, row: Row, ours: Answer) -> None:
    """The same value, or an error on both sides; unless the row is one of the differences."""
    same = ours.keys() & row.keys() and ("error" in ours or ours["out"] == row["out"])
    assert bool(same) is (row["name"] not in DIFFERENCES[file]), ours


def at(config: JobConfig, place: list[Any]) -> Any:
    """What job-executor's own keys say there."""
    ours = {"actions": {"__all__": {"tasks": {"__all__": OUR_KEYS}}}}
    found: Any = config.model_dump(by_alias=True, mode="json", exclude=ours)
    for step in place:
        found = found[step]
    return found


def lines(text: str) -> list[int]:
    return [int(line) for line in re.findall(r"(?:line |config\.yaml:)(\d+):", text)]


@pytest.mark.parametrize("row", rows("yaml_typed"))
def test_documents_are_read_as_job_executor_reads_them(row: Row) -> None:
    given = row["in"]
    ours = answer(lambda: at(read(given["yaml"]), given.get("pick", [])))
    expect("yaml_typed", row, ours)


@pytest.mark.parametrize("row", rows("yaml_scalars"))
def test_scalars_are_read_as_job_executor_reads_them(row: Row) -> None:
    ours = answer(lambda: at(read(row["in"]["yaml"]), row["in"]["pick"]))
    expect("yaml_scalars", row, ours)


@pytest.mark.parametrize("row", rows("yaml_typed") + rows("yaml_scalars"))
def test_every_error_names_the_line_that_job_executor_names(row: Row) -> None:
    if "unmarshal errors" not in row.get("error", "") or row["name"] in DIFFERENCES["yaml_typed"]:
        return
    with pytest.raises(FileError) as error:
        read(row["in"]["yaml"])
    assert set(lines(str(error.value))) == set(lines(row["error"]))


@pytest.mark.parametrize("row", rows("yaml_typed") + rows("yaml_scalars"))
def test_names_are_looked_for_in_any_file(row: Row) -> None:
    assert isinstance(readable_event_names(row["in"]["yaml"]), list)


@pytest.mark.parametrize("row", rows("cmd_split/cmd"))
def test_a_command_of_one_text_is_split_as_job_executor_split_it(row: Row) -> None:
    text = json.dumps(row["in"]["cmd"])
    for version in ("apiVersion: v1\n", ""):
        config = read(f"{version}actions: [{{tasks: [{{cmd: {text}}}]}}]")
        assert list(config.actions[0].tasks[0].cmd) == row["out"]


@pytest.mark.parametrize("row", rows("cmd_split/config v1"))
def test_files_of_v1_are_read_as_job_executor_read_them(row: Row) -> None:
    def commands() -> list[list[str]]:
        config = read(row["in"]["yaml"])
        return [list(task.cmd) for action in config.actions for task in action.tasks]

    ours = answer(commands)
    expect("cmd_split/config v1", row, ours)
    if "unmarshal errors" in row.get("error", ""):
        assert set(lines(ours["error"])) == set(lines(row["error"]))


@pytest.mark.parametrize("row", rows("job_names_labels/execute"))
def test_an_event_runs_the_actions_that_job_executor_ran(row: Row) -> None:
    def actions() -> list[str]:
        config = read(row["in"]["config"])
        event = event_map(Event.model_construct(**row["in"]["event"]))
        return [config.actions[index].name for index in matching(config, event)]

    calls = row["out"]["calls"] if "out" in row else []
    theirs = [call["task"].partition("/")[0] for call in calls if "create" in call]
    row = {**row, "out": list(dict.fromkeys(theirs))} if "out" in row else row
    expect("job_names_labels/execute", row, answer(actions))


@pytest.mark.parametrize("row", rows("regexp"))
def test_names_match_as_go_matches_them(row: Row) -> None:
    ours = answer(lambda: name_matches(row["in"]["pattern"], row["in"]["text"]))
    expect("regexp", row, ours)


@pytest.mark.parametrize("row", rows("jsonpath"))
def test_paths_lead_where_the_go_library_leads(row: Row) -> None:
    given = row["in"]
    document = given["document"] if "doc" in given else given["data"]
    ours = answer(lambda: as_go(find(given["path"], document)))
    row = {**row, "out": as_go(row["out"])} if "out" in row else row
    if row.get("unordered"):
        ours, row = ({**each, "out": sorted(each["out"], key=sortable)} for each in (ours, row))
    expect("jsonpath", row, ours)
    if re.fullmatch(r"unknown key \w+|index .*", row.get("error", "")) and "error" in ours:
        assert ours == {"error": row["error"]}


def sortable(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


@pytest.mark.parametrize("row", rows("jsonpath_match"))
def test_entries_match_as_in_job_executor(row: Row) -> None:
    given = row["in"]
    entry = {
        "name": given.get("pattern", ""),
        "jsonpath": {"property": given["path"], "match": given["match"]},
    }

    def matches() -> bool:
        config = JobConfig.model_validate({"actions": [{"events": [entry]}]})
        event = given.get("document") or given["event"]
        if given["fn"] == "mapped":
            event = event_map(Event.model_validate(event))
        return matching(config, {**event, "type": given.get("type", event["type"])}) == [0]

    theirs = row.get("out", False)  # a path that leads nowhere matches nothing
    theirs = theirs["match"] if isinstance(theirs, dict) else theirs
    expect("jsonpath_match", {**row, "out": theirs}, answer(matches))


@pytest.mark.parametrize("row", rows("env_format"))
def test_environments_are_those_of_job_executor(row: Row) -> None:
    given = row["in"]
    if "json" in given:
        ours = answer(lambda: written(given["as"], json.loads(given["json"])))
    elif "labels" in given:
        ours = answer(lambda: labels_one_by_one(given["labels"]))
    else:
        ours = answer(lambda: environment_of(given["env"], given["event"], given["secrets"]))
        row = {**row, "out": variables(row["out"], given["secrets"])} if "out" in row else row
    expect("env_format", row, ours)
    if "could not add env" in row.get("error", "") and "parsing error" not in row["error"]:
        assert ours == {"error": row["error"]}


def variables(out: Any, secrets: Any) -> dict[str, str]:
    """What a container of job-executor's Job finds: Kubernetes fills in what refers to Secrets."""
    filled = {one["name"]: secrets[one["secret"]][one["key"]] for one in out["secret_refs"]}
    return {each["name"]: each["value"] for each in out["env"] + out["labels"]} | filled


def written(form: str, value: Any) -> str:
    return {"json": as_json, "yaml": as_yaml}.get(form.lower(), as_plain)(value)


def labels_one_by_one(labels: dict[str, str]) -> list[list[str]]:
    """Names that collide are all in the row; one environment has the last of them."""
    event = {"specversion": "1.0", "id": "i", "source": "s", "type": "t"}
    found = []
    for key, value in labels.items():
        variables = environment_of([], {**event, "data": {"labels": {key: value}}}, {})
        found += [[name, text] for name, text in variables.items() if name.startswith("LABELS_")]
    return sorted(found)


def environment_of(entries: list[Any], event: Any, secrets: Any) -> dict[str, str]:
    task = Task.model_validate({"env": entries})
    return environment(task, Event.model_validate(event), secrets.__getitem__)
