"""Paths without `$`, where no vector tells: read off the Go library, whose keys are all texts."""

from typing import Any

import pytest

from app.jobconfig.paths import PathError, find

DOCUMENT: dict[str, Any] = {"a": {"1": "one"}, "list": ["first", {"k": "v"}]}


@pytest.mark.parametrize(
    ("path", "value"),
    [("a[1]", "one"), ('a["1"]', "one"), ("list[0]", "first"), ("list[1].k", "v"), ("a.b", None)],
)
def test_an_index_of_a_mapping_is_a_key(path: str, value: Any) -> None:
    assert find(path, DOCUMENT) == value


@pytest.mark.parametrize(
    ("path", "name"), [("a.b.c.d", "a.b.c"), ("list[7].k", "list.7"), ("a[1].k.l", "a.1.k")]
)
def test_a_path_that_leads_nowhere_is_told_up_to_there(path: str, name: str) -> None:
    with pytest.raises(PathError) as caught:
        find(path, DOCUMENT)
    assert str(caught.value) == f"unknown parameter {name}"
