"""What the project promises about itself: docs that are true, walls, and a light core."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import click
import pytest

from app import notifiers
from app.cli import HOMES, main
from docs.settings import page
from tests.crash.matrix import BOUNDARIES
from tests.ship import Ship

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_page_of_settings_is_made_from_the_settings() -> None:
    assert (ROOT / "docs/settings.md").read_text() == page(), "run `make docs`"


def test_every_command_in_the_readme_exists() -> None:
    named = set(re.findall(r"`firstmate ([a-z-]+)", README))

    assert isinstance(main, click.Group)
    assert set(chain(*HOMES.values())) <= named <= set(main.list_commands(click.Context(main)))


@pytest.fixture
async def metrics(start: Callable[..., Ship]) -> dict[str, str]:
    """The name and type of each figure that a service has."""
    ship = start(keptn_api_endpoint="http://127.0.0.1:9/api", keptn_api_token="t")
    text = (await ship.http.get(f"{ship.ops}/metrics")).text
    return dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE))


@pytest.mark.slow
async def test_every_metric_in_the_readme_exists(metrics: dict[str, str]) -> None:
    listed = README.partition("* `/metrics`:")[2].partition("\n* ")[0]
    named = {f"firstmate{one.removeprefix('firstmate')}" for one in re.findall(r"`(\w+)`", listed)}

    assert named == {one for one in metrics if not one.endswith("_created")}


@pytest.mark.slow
async def test_the_dashboard_asks_for_metrics_that_exist_and_leaves_none_out(
    metrics: dict[str, str],
) -> None:
    panels = json.loads((ROOT / "deploy/grafana-dashboard.json").read_text())["panels"]
    queries = " ".join(target["expr"] for panel in panels for target in panel["targets"])
    parts = {"histogram": ("_bucket", "_count", "_sum")}
    known = {name + part: name for name, kind in metrics.items() for part in parts.get(kind, [""])}
    asked = set(re.findall(r"firstmate_\w+", queries))

    assert asked <= known.keys()
    assert {known[one] for one in asked} == {one for one in metrics if not one.endswith("_created")}


def test_the_dashboards_panels_do_not_overlap() -> None:
    panels = json.loads((ROOT / "deploy/grafana-dashboard.json").read_text())["panels"]
    taken = [
        (column, row)
        for place in (panel["gridPos"] for panel in panels)
        for column in range(place["x"], place["x"] + place["w"])
        for row in range(place["y"], place["y"] + place["h"])
    ]

    assert len(taken) == len(set(taken))
    assert max(column for column, _ in taken) < 24


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


def test_every_notifier_is_in_the_registry() -> None:
    kinds = {kind.__module__.rpartition(".")[2] for kind in notifiers.KINDS.values()}
    files = {
        path.stem
        for path in (ROOT / "app/notifiers").glob("[a-z]*.py")
        if re.search(r"^class \w+\(Notifier\)", path.read_text(), re.MULTILINE)
    }

    assert kinds == files


@pytest.mark.slow
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

    in_tests = {"second delivery", "container created", "container started", "job made"}
    assert reached == set(BOUNDARIES) - in_tests - {"job running"}
