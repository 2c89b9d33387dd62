"""The flood in small: half of the deliveries fail, and the service is killed amid them."""

from pathlib import Path

import pytest

from tests.notices.flood import flood

pytestmark = pytest.mark.slow


def test_no_notice_is_lost_disordered_or_doubled_without_a_cause(tmp_path: Path) -> None:
    figures = flood(400, tmp_path)

    assert figures.is_promised, figures
    assert figures.after_unclear_reply > 20
    assert 200 <= figures.taken_before_the_kill < 400
