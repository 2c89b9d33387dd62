"""What holds for every merge, whatever the values."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.plane.sequence import merge

pytestmark = pytest.mark.slow

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
brief = settings(max_examples=25, deadline=None)
maps = st.dictionaries(st.text(max_size=2), values, max_size=4)


@brief
@given(values)
def test_nothing_is_overlaid_by_anything(value: Any) -> None:
    assert merge(None, copy.deepcopy(value)) == value


@brief
@given(values)
def test_null_takes_nothing_away_but_a_text_and_an_empty_list(value: Any) -> None:
    expected = "" if isinstance(value, str) else None if value == [] else value
    assert merge(copy.deepcopy(value), None) == expected


@brief
@given(st.booleans() | st.integers() | st.floats(allow_nan=False), values)
def test_an_old_number_or_boolean_stays(old: Any, new: Any) -> None:
    assert merge(old, new) is old


@brief
@given(maps, maps)
def test_no_key_of_either_map_is_lost(old: dict[str, Any], new: dict[str, Any]) -> None:
    keys = old.keys() | new.keys()
    assert merge(old, new).keys() == keys


@brief
@given(st.lists(values, max_size=4), st.lists(values, max_size=4))
def test_of_two_lists_the_newer_stands_first(old: list[Any], new: list[Any]) -> None:
    assert merge(copy.deepcopy(old), copy.deepcopy(new)) == new + old


@brief
@given(maps, maps)
def test_the_newer_value_is_never_changed_at_its_top(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    before = dict(new)
    merge(old, new)
    assert new.keys() == before.keys()
    assert all(new[key] is before[key] for key in before)
