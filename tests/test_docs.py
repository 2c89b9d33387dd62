"""What the docs say of keys, settings and differences is held against the models."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from app.document.typed import Part
from app.jobconfig.findings import examine
from app.jobconfig.schema import OURS, JobConfig
from app.settings import Settings
from tests.jobconfig.differences import DIFFERENCES

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "moving-from-job-executor.md").read_text()
VERDICTS = {"same", "better", "different", "not needed", "ours"}
CHART = json.loads(Path(__file__).with_name("job_executor_chart.json").read_text())["values"]
SETTINGS = [
    "API_PROXY_MAX_PAYLOAD_BYTES_KB",
    "ALLOWED_IMAGE_LIST",
    "ALLOW_PRIVILEGED_JOBS",
    "DEFAULT_JOB_SERVICE_ACCOUNT",
    "DEFAULT_RESOURCE_LIMITS_CPU",
    "DEFAULT_RESOURCE_LIMITS_MEMORY",
    "DEFAULT_RESOURCE_REQUESTS_CPU",
    "DEFAULT_RESOURCE_REQUESTS_MEMORY",
    "FULL_DEPLOYMENT_NAME",
    "HTTP_SSL_VERIFY",
    "INIT_CONTAINER_IMAGE",
    "JOB_NAMESPACE",
    "KEPTN_API_ENDPOINT",
    "KEPTN_API_TOKEN",
    "OAUTH_CLIENT_ID",
    "OAUTH_CLIENT_SECRET",
    "OAUTH_DISCOVERY",
    "OAUTH_SCOPES",
    "PUBSUB_TOPIC",
    "RCV_PATH",
    "RCV_PORT",
    "TASK_DEADLINE_SECONDS",
]
"""All that job-executor 0.3.0 reads from its environment."""


def table(heading: str) -> dict[str, str]:
    """The first two columns of the table below this head: what, and how it is here."""
    below = PAGE.partition(f"| {heading} |")[2].partition("\n\n")[0]
    found = re.findall(r"^\| `([^`]+)` \| ([^|]+) \|", below, re.MULTILINE)
    assert len(found) == len(dict(found)), "a row stands there twice"
    return dict(found)


def keys(part: type[Part], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every key of a file with its field; within a list, a path begins anew."""
    for field in part.model_fields.values():
        yield f"{prefix}{field.alias}", field
        if is_ours(field):
            continue
        inner = [one for one in parts(field.annotation) if issubclass(one, Part)]
        listed = f"{field.alias}[]." if "tuple" in str(field.annotation) else ""
        for one in inner:
            yield from keys(one, listed or f"{prefix}{field.alias}.")


def parts(annotation: Any) -> list[type]:
    inner = [found for one in get_args(annotation) for found in parts(one)]
    return [*inner, annotation] if isinstance(annotation, type) else inner


def is_ours(field: Any) -> bool:
    return any(getattr(one, "version", "") == OURS for one in field.metadata)


def test_every_key_of_the_file_stands_in_the_table_and_no_other() -> None:
    assert table("key").keys() == dict(keys(JobConfig)).keys()


def test_our_own_keys_are_called_so_and_no_others() -> None:
    ours = {key for key, field in keys(JobConfig) if is_ours(field)}

    assert {key for key, verdict in table("key").items() if verdict == "ours"} == ours


def test_every_setting_of_job_executor_stands_in_the_table() -> None:
    assert sorted(table("variable of job-executor")) == sorted(SETTINGS)


def test_what_is_said_to_be_served_is_a_setting_here_and_the_rest_is_not() -> None:
    ours = {name.upper() for name in Settings.model_fields}
    served = {
        name
        for name, verdict in table("variable of job-executor").items()
        if verdict in ("same", "better")
    }

    assert served == ours & set(SETTINGS)


def test_every_value_of_job_executors_chart_stands_in_the_table() -> None:
    assert sorted(table("value of its chart")) == sorted(CHART)


def test_no_value_of_the_chart_goes_without_a_word_on_what_takes_its_place() -> None:
    below = PAGE.partition("| value of its chart |")[2].partition("\n\n")[0]

    assert not re.findall(r"^\| `[^`]+` \| [^|]+ \| *\|$", below, re.MULTILINE)


@pytest.mark.parametrize("heading", ["key", "variable of job-executor", "value of its chart"])
def test_only_the_words_that_are_explained_are_used(heading: str) -> None:
    used = set(table(heading).values())

    assert used
    assert used <= VERDICTS


def test_every_setting_that_a_note_names_exists() -> None:
    known = {name.upper() for name in Settings.model_fields} | set(SETTINGS)
    foreign = {"SSL_CERT_FILE"}

    assert set(re.findall(r"\b[A-Z]+_[A-Z_]+\b", PAGE)) <= known | foreign


def test_every_deliberate_difference_is_told() -> None:
    told = " ".join(PAGE.split())
    reasons = {reason for rows in DIFFERENCES.values() for reason in rows.values()}

    assert not {reason for reason in reasons if reason.partition(";")[0] not in told}


def test_the_example_of_a_job_config_has_nothing_to_find() -> None:
    example = (DOCS / "jobconfig.md").read_text().partition("```yaml\n")[2].partition("```")[0]
    assert examine(example, "jobconfig.md", needs_cmd=True) == []


def test_the_page_of_the_job_config_has_all_our_own_keys() -> None:
    below = (DOCS / "jobconfig.md").read_text().partition("| key of a task |")[2]
    ours = {key.removeprefix("tasks[].") for key, field in keys(JobConfig) if is_ours(field)}

    assert set(re.findall(r"^\| `(\w+)` \|", below, re.MULTILINE)) == ours
