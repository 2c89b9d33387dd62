"""The demo is what a newcomer sees first, so it is run as they run it."""

import subprocess
import sys

import pytest

from tests.cli.conftest import ROOT

pytestmark = pytest.mark.slow


def test_the_demo_shows_both_chains_and_exits_with_zero() -> None:
    shown = subprocess.run(
        [sys.executable, "examples/demo.py"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert shown.returncode == 0, shown.stdout + shown.stderr
    steps = [
        line.split("  ")[1].split(" ", 1)[1] for line in shown.stdout.splitlines() if " by " in line
    ]
    assert [step.strip() for step in steps] == [
        *("sequence triggered", "remote-task triggered", "remote-task started"),
        *("remote-task finished", "sequence finished"),
        *("sequence triggered", "action triggered", "action started"),
        *("action finished", "sequence finished"),
        *("sequence triggered", "action triggered", "sequence finished"),
    ]
    assert "log of 'Say Hello' | Hello World" in shown.stdout
    assert "sequence state: timedOut; events of 'firstmate': 0" in shown.stdout
    assert "no action matches sh.keptn.event.action.triggered" in shown.stdout
