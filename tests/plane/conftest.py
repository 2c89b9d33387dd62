"""A bookshop with two stages."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.plane.house import Plane
from tests.plane.keptn import SHIPYARD, Client, VirtualClock, client_of, settings


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shop = tmp_path / "shop"
    shop.mkdir()
    (shop / "shipyard.yaml").write_text(SHIPYARD)
    return shop


@pytest.fixture
async def plane(folder: Path, clock: VirtualClock) -> AsyncIterator[Plane]:
    plane = Plane(settings(folder), clock)
    yield plane
    plane.close()


@pytest.fixture
async def keptn(plane: Plane) -> AsyncIterator[Client]:
    async with client_of(plane) as http:
        yield Client(http)
