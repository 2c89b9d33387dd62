"""Which event names no event can have: told for certain typing errors, never for a name that is."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.events.grammar import of_task
from app.jobconfig.match import name_matches
from app.jobconfig.patterns import can_match, compiled

ANY_TIME = settings(deadline=None)
TASKS = st.text("abtest-_09Zé", min_size=1, max_size=12) | st.sampled_from(["test", "get-sli"])
TYPES = TASKS.map(lambda task: of_task(task, "triggered"))


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "test",
        "test.triggered",
        "sh.keptn.event.test.triggered",
        r"^sh\.keptn\.event\.test\.triggered$",
        "sh.keptn.event.*.triggered",
        r".*\.triggered$",
        r"sh\.keptn\.event\.[a-z-]+\.triggered",
        r"sh\.keptn\.event\.\w+\.triggered",
        r"event\.[^.]+\.triggered$",
        "te.t.triggered",
        "test.finished",
        "sh.keptn.event.dev.delivery.finished",
        "[.]test[.]started",
        "get.sli.triggered",
        "^sh.keptn",
        "^$|test",
        "(test|deploy).trigered",
        "(?i)TEST.TRIGGERED",
        "tests?.triggered",
        "load-test.triggered",
        "test.trigg",
        r"\bfoo\b.bar",
        "a{3}.b.c.d",
        "[^][a].x.y.z",
        ".",
        "..*?..",
    ],
)
def test_a_name_that_may_be_meant_is_not_called_dead(pattern: str) -> None:
    assert can_match(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "sh.keptn.events.test.triggered",
        "sh.keptn.event.test.triggerd",
        "sh.keptn.test.triggered",
        "sh.cloud.event.test.triggered",
        "keptn.sh.event.test.triggered",
        "^test.triggered",
        "^event",
        "test.triggered.",
        r"\.test\.triggerd$",
        "test$",
        "sh.keptn.event.dev.delivery.triggered",
        "sh.keptn.event.test.triggered\n",
        " sh.keptn.event.test.triggered",
        "test.triggered ",
        "sh-keptn-event.test.triggered",
        "Sh.keptn.event.test.triggered",
    ],
)
def test_a_name_that_no_event_has_is_found_out(pattern: str) -> None:
    assert not can_match(pattern)


@st.composite
def patterns(draw: st.DrawFn) -> tuple[str, str]:
    """A type, and a pattern that was made of a part of it."""
    whole = draw(TYPES)
    start = draw(st.integers(0, len(whole)))
    end = draw(st.integers(start, len(whole)))
    made = ""
    for char in whole[start:end]:
        one = re.escape(char)
        made += draw(st.sampled_from([one, char, f"[{one}]", "[^xyz]"]))
        made += draw(st.sampled_from(["", "", "", "+", "x?", "x*", f"{one}*?"]))
        if draw(st.integers(0, 9)) == 0:
            made += ".*"
    made = ("^" if start == 0 and draw(st.booleans()) else "") + made
    return whole, made + ("$" if end == len(whole) and draw(st.booleans()) else "")


@pytest.mark.slow
@settings(ANY_TIME, max_examples=3 * ANY_TIME.max_examples)
@given(patterns())
def test_a_pattern_made_of_a_real_type_is_never_called_dead(given: tuple[str, str]) -> None:
    whole, pattern = given
    assert name_matches(pattern, whole)
    assert can_match(pattern)


@pytest.mark.slow
@ANY_TIME
@given(st.text(r"sh.keptn\^$*+?[]()|{}-a.1dw", max_size=20), TYPES)
def test_a_pattern_that_matches_with_its_dots_as_dots_is_never_called_dead(
    pattern: str, event_type: str
) -> None:
    literal = re.sub(r"(?<!\\)\.(?![*+?])", r"\.", pattern) if "[" not in pattern else pattern
    try:
        compiled(pattern)
        matches = name_matches(literal, event_type)
    except ValueError:
        return
    assert can_match(pattern) or not matches


def test_a_pattern_that_does_not_compile_is_told_by_the_error_alone(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(ValueError, match="no regular expression"):
        compiled("(never seen before")
    assert capfd.readouterr() == ("", "")


def test_a_long_name_is_looked_into() -> None:
    assert not can_match("sh.keptn.event." + "a.*b" * 200 + "$")
