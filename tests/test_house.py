"""What the project promises about itself: docs that are true, walls, and a light core."""

import re
import subprocess
import sys
from pathlib import Path

import click

from app import boundaries, notifiers
from app.cli import main
from app.metrics import Metrics
from app.outbound import Outbound
from docs.settings import page
from tests.crash.matrix import BOUNDARIES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_page_of_settings_is_made_from_the_settings() -> None:
    assert (ROOT / "docs/settings.md").read_text() == page(), "run `make docs`"


def test_every_command_in_the_readme_exists() -> None:
    named = set(re.findall(r"`firstmate ([a-z]+)", README)) - {"sequence"}

    assert isinstance(main, click.Group)
    assert named == set(main.commands)


def test_every_metric_in_the_readme_exists() -> None:
    figures = Metrics()
    for name in ("running", "open", "queue_age_seconds", "outbox_age_seconds"):
        figures.gauge(name, "", lambda: 0)
    there = set(re.findall(r"^# TYPE firstmate(_\w+) ", figures.render().decode(), re.MULTILINE))
    listed = README.partition("* `/metrics`:")[2].partition("\n* ")[0]

    named = {one.removeprefix("firstmate") for one in re.findall(r"`(\w+)`", listed)}
    assert named <= there
    assert {one for one in there if not one.endswith("_created")} <= named


def test_every_setting_of_the_readme_exists() -> None:
    known = set(re.findall(r"^\| `(\w+)`", page(), re.MULTILINE))
    of_others = {
        "PUBSUB_RECIPIENT",
        "PUBSUB_RECIPIENT_PORT",
        "EVENT_ID",
        "KEPTN_PROJECT",
        "LABELS_",
    }
    of_others |= {"KEPTN_STAGE", "KEPTN_SERVICE", "KEPTN_FILES_DIR", "OPERATOR_NAME", "LABELS_KEY"}

    assert set(re.findall(r"\b[A-Z]+_[A-Z_]+\b", README)) - of_others <= known


async def test_every_notifier_is_in_the_registry() -> None:
    files = {path.stem for path in (ROOT / "app/notifiers").glob("[a-z]*.py")}
    outbound = Outbound()

    assert {one.name for one in notifiers.configured("http://x", outbound)} == files
    await outbound.close()


def test_the_core_imports_nothing_heavy() -> None:
    heavy = ["kubernetes", "nats", "apprise", "slack_sdk", "aiohttp", "opentelemetry.sdk"]
    seen = subprocess.run(
        [sys.executable, "-c", "import sys, app.main; print(*sys.modules)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()

    assert not set(heavy) & set(seen)


def test_no_file_names_this_machine_or_a_package_index() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    pattern = re.compile(r"/(work|farm)/|index-url|pypi\.org|files\.pythonhosted")
    at_fault = [
        name
        for name in listed
        if name and name != "tests/test_house.py" and (ROOT / name).suffix != ".json"
        if pattern.search((ROOT / name).read_text(errors="replace"))
    ]

    assert not at_fault


def test_no_module_is_a_drawer() -> None:
    names = {path.stem for path in (ROOT / "app").rglob("*.py")}

    assert not names & {"util", "utils", "common", "helpers", "models", "types"}


def test_every_boundary_is_reached_somewhere_and_is_in_the_crash_matrix() -> None:
    code = "".join(path.read_text() for path in (ROOT / "app").rglob("*.py"))
    reached = set(re.findall(r"reached\(\"([^\"]+)\"\)", code)) | {"sent"}

    assert reached == set(boundaries.NAMES)
    assert reached <= set(BOUNDARIES)
