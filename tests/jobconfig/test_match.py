"""Which actions an event is for."""

import pytest

from app.jobconfig.match import matching, name_matches
from app.jobconfig.read import JobConfig

EVENT = {
    "type": "sh.keptn.event.test.triggered",
    "data": {"project": "p", "n": 5, "yes": True, "nothing": None, "list": ["p"]},
}


def config(*entries: list[dict[str, object]]) -> JobConfig:
    return JobConfig.model_validate({"actions": [{"events": events} for events in entries]})


def test_all_matching_actions_are_found_in_file_order() -> None:
    found = matching(
        config(
            [{"name": "test.triggered"}], [], [{"name": "other"}, {"name": ""}], [{"name": "^test"}]
        ),
        EVENT,
    )
    assert found == [0, 2]


@pytest.mark.parametrize(
    ("path", "text", "matches"),
    [
        ("$.data.project", "p", True),
        ("$.data.n", "5", True),
        ("$.data.n", "5.0", False),
        ("$.data.yes", "true", True),
        ("$.data.yes", "1", False),
        ("$.data.nothing", "", False),
        ("$.data.nothing", "null", False),
        ("$.data.list", '["p"]', False),
        ("$.data.missing", "", False),
        ("$.data[", "", False),
        ("", "anything", True),
    ],
)
def test_an_entry_may_ask_for_a_value(path: str, text: str, *, matches: bool) -> None:
    entry: dict[str, object] = {"name": "", "jsonpath": {"property": path, "match": text}}
    assert matching(config([entry]), EVENT) == ([0] if matches else [])


def test_a_name_is_found_anywhere_in_linear_time() -> None:
    assert name_matches("event.test", "sh.keptn.event.test.triggered")
    assert not name_matches("(a+)+$", "a" * 5000 + "b")


def test_odd_characters_in_a_type_match_like_any_other() -> None:
    assert name_matches("^a.b$", "a\ud800b")
