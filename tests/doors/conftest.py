"""One service for all tests of a file; its Keptn is away, so that only the door answers."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from app.clock import Clock
from tests.ship import Ship

LARGEST = 256 * 1024
NO_KEPTN: dict[str, Any] = {"keptn_distributor_url": "http://127.0.0.1:9"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ship(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ship]:
    data_dir = tmp_path_factory.mktemp("door")
    ship = Ship(data_dir, Clock(), max_event_bytes=LARGEST, **NO_KEPTN)
    yield ship
    await ship.stop()
