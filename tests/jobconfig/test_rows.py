"""No row is silently skipped, and what differs is listed: `pytest -s` shows how many there are."""

from collections import Counter

import pytest

from tests.jobconfig import test_env, test_formats, test_quirks, test_vectors
from tests.jobconfig.differences import DIFFERENCES
from tests.jobconfig.rows import ELSEWHERE, SECTIONS, asked, rows, stored

BY_HAND = {
    "1.1 formats": test_formats.HISTORY,
    "1.2 fields": test_quirks.FIELDS,
    "1.4 matching": test_quirks.EVENTS,
    "1.5 environment": [*test_env.VALUES, *test_env.ERRORS],
}


def test_every_row_is_compared_or_left_out_for_a_reason() -> None:
    assert test_vectors.__name__  # which asks for the rows
    assert asked().keys() == SECTIONS.keys()
    assert stored() == asked() + Counter({place: stored()[place] for place in ELSEWHERE})
    print(report())


@pytest.mark.parametrize("place", DIFFERENCES)
def test_every_difference_names_a_row_and_a_reason(place: str) -> None:
    assert DIFFERENCES[place].keys() <= {param.id for param in rows(place)}
    assert all(DIFFERENCES[place].values())


def report() -> str:
    """A line for each section: rows of Go, of them different on purpose, and rows by hand."""
    told = []
    for section in dict.fromkeys(SECTIONS.values()):
        places = [place for place, its in SECTIONS.items() if its == section]
        differ = sum(len(DIFFERENCES.get(place, ())) for place in places)
        total, own = sum(asked()[place] for place in places), len(BY_HAND.get(section, ()))
        told.append(f"{section}: {total} rows of Go ({differ} differ on purpose), {own} by hand")
    left_out = sum(stored()[place] for place in ELSEWHERE)
    return "\n".join([*told, f"left out, with the reason: {left_out} rows"])
