"""What docs/policy.md says of the rules is held against them."""

import re
from pathlib import Path

import pytest
from pydantic.alias_generators import to_camel

from app.policy.rules import PROTECTED, Rules, read
from app.settings import Settings
from tests.policy.test_images import DIFFERENCES

PAGE = (Path(__file__).parents[2] / "docs/policy.md").read_text()


def table(heading: str) -> dict[str, str]:
    """The rows below this head: the name that each is about, and its text."""
    below = PAGE.partition(f"| {heading} |")[2].partition("\n\n")[0]
    return dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", below, re.MULTILINE))


def test_every_rule_stands_in_the_table_and_no_other() -> None:
    assert [*table("rule")] == [field.alias for field in Rules.model_fields.values()]


def test_all_that_is_protected_is_listed() -> None:
    listed = {of: re.findall(r"`([^`]+)`", names) for of, names in table("of").items()}

    assert listed == {to_camel(rule): [*names] for rule, names in PROTECTED.items()}


@pytest.mark.parametrize("text", re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
def test_every_example_can_be_used_as_it_stands(text: str) -> None:
    assert read(text).api_version


def test_every_remedy_that_is_a_rule_can_be_used_as_it_stands() -> None:
    remedies = re.findall(r"`(rules: .*?)`", PAGE)

    assert remedies
    assert all(read(f"apiVersion: firstmate/v1\n{one}") for one in remedies)


def test_every_difference_from_job_executors_list_is_told() -> None:
    told = " ".join(PAGE.split())

    assert not {reason for reason in DIFFERENCES.values() if reason not in told}


def test_every_setting_that_is_named_exists() -> None:
    named = set(re.findall(r"\b[A-Z]+_[A-Z_]+\b", PAGE)) - {"EVENT_ID", "SYS_ADMIN"}

    assert named - {"NET_BIND_SERVICE"} <= {name.upper() for name in Settings.model_fields}
