"""What most tests of the service start with: an event, a clock, a Keptn, a ledger, a service."""

import gc
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from app.core import Core
from app.events import parse
from app.events.parse import Event
from app.ledger.store import Ledger
from app.lifecycle import Lifecycle
from app.metrics import Metrics
from app.outbound import Outbound
from tests.captain import Captain
from tests.clocks import FastClock
from tests.ship import Ship
from tests.strict.client import StrictKeptn

TRIGGERED: dict[str, Any] = {
    "specversion": "1.0",
    "id": "0f6b1a1e-6d3c-4f0e-8f1c-2b1f5a7c9d01",
    "source": "shipyard-controller",
    "type": "sh.keptn.event.test.triggered",
    "shkeptncontext": "6a7b8c9d-0e1f-4a2b-8c3d-4e5f6a7b8c9d",
    "data": {"project": "p", "stage": "s", "service": "svc"},
}


def document(**overrides: Any) -> dict[str, Any]:
    """A task's triggered event as JSON; None takes an attribute away."""
    merged = {**TRIGGERED, **overrides}
    return {name: value for name, value in merged.items() if value is not None}


def event(**overrides: Any) -> Event:
    """The same, parsed."""
    return parse.read(document(**overrides))


ALL_SLOW = re.compile(r"^pytestmark = \[?pytest\.mark\.slow\b", re.MULTILINE)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """`make fast` does not even import a file whose tests are all slow."""
    if config.option.markexpr != "not slow" or collection_path.suffix != ".py":
        return None
    return bool(ALL_SLOW.search(collection_path.read_text())) or None


def pytest_collection_finish() -> None:
    """What was collected stays to the end: the collector need not look through it ever again."""
    gc.freeze()


@pytest.fixture
def clock() -> FastClock:
    return FastClock()


@pytest.fixture(scope="session")
def strict_process() -> Iterator[StrictKeptn]:
    with StrictKeptn(pace=0.05) as keptn:
        yield keptn


@pytest.fixture
def strict(strict_process: StrictKeptn) -> StrictKeptn:
    """A Keptn that knows of nothing: a service would see what other tests have left open."""
    strict_process.reset()
    return strict_process


@pytest.fixture
def captain(strict: StrictKeptn) -> Iterator[Captain]:
    captain = Captain(strict)
    yield captain
    captain.mend()


@pytest.fixture
async def core(tmp_path: Path, clock: FastClock) -> AsyncIterator[Core]:
    ledger = Ledger(tmp_path)
    yield Core(ledger, Lifecycle(ledger, clock, "firstmate"), clock, Metrics(), "firstmate")
    ledger.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def outbound() -> AsyncIterator[Outbound]:
    """One pool of connections for the unit tests of a file: making one takes its time."""
    outbound = Outbound()
    yield outbound
    await outbound.close()


@pytest.fixture
async def start(tmp_path: Path, clock: FastClock) -> AsyncIterator[Callable[..., Ship]]:
    """Starts services, on one data folder unless told otherwise, and ends them all."""
    async with AsyncExitStack() as stack:

        def begin(**given: Any) -> Ship:
            ship = Ship(given.pop("data_dir", tmp_path / "data"), clock, **given)
            stack.push_async_callback(ship.stop)
            return ship

        yield begin


@pytest.fixture(params=["sidecar", "api"])
def connected(
    request: pytest.FixtureRequest, start: Callable[..., Ship], strict: StrictKeptn
) -> Callable[..., Ship]:
    """Starts services that answer through a sidecar, and, in a second run, through the API."""
    return partial(start, **connection(strict, request.param))


def connection(keptn: StrictKeptn, way: str) -> dict[str, str]:
    """The settings of a service that answers in this way."""
    if way == "sidecar":
        return {"keptn_distributor_url": keptn.sidecar_url}
    polls = "true" if way == "poll" else "false"
    given = {"keptn_api_endpoint": keptn.api_url, "keptn_api_token": keptn.token}
    return given | {"keptn_poll": polls}
