"""The second port: health, readiness and figures, and nothing else."""

from collections.abc import Callable

import httpx
import pytest

from tests.conftest import document
from tests.doors.conftest import NO_KEPTN
from tests.ship import Ship

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


async def test_the_second_port_tells_health_and_readiness(ship: Ship) -> None:
    for path in ("health", "ready"):
        assert (await ship.http.get(f"{ship.ops}/{path}")).json()["status"] == "OK"


async def test_figures_are_in_prometheus_text_format(ship: Ship) -> None:
    for event in (document(), document(), document(id="x", type="com.example.thing")):
        await ship.post(event)
    figures = await ship.figures()
    for verdict in ("new", "duplicate", "foreign"):
        assert figures[f'firstmate_accepted_total{{verdict="{verdict}"}}'] == 1
    names = {"running", "open", "queue_age_seconds", "outbox_age_seconds"}
    assert {f"firstmate_{name}" for name in names} <= figures.keys()


@pytest.mark.parametrize("path", ["", "docs", "openapi.json", "event"])
async def test_there_is_nothing_else(ship: Ship, path: str) -> None:
    assert (await ship.http.get(f"{ship.ops}/{path}")).status_code == 404


@pytest.mark.asyncio(loop_scope="function")
async def test_a_service_that_is_told_to_stop_is_not_ready(start: Callable[..., Ship]) -> None:
    ship = start(**NO_KEPTN)
    async with httpx.AsyncClient(trust_env=False) as http:
        await http.get(f"{ship.ops}/health")
        ship.service.stop()
        assert (await http.get(f"{ship.ops}/ready")).status_code == 503
