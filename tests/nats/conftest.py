"""A nats-server for each test, a Keptn project that joined it, and a service there."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.captain import Captain
from tests.conftest import connection
from tests.nats.server import NatsServer
from tests.ship import Ship
from tests.strict.client import StrictKeptn


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    """A server with JetStream, in which Keptn makes its stream when it joins."""
    with NatsServer(tmp_path / "streams") as server:
        yield server


@pytest.fixture
def plain() -> Iterator[NatsServer]:
    """A server without JetStream."""
    with NatsServer() as server:
        yield server


@pytest.fixture
def joined(captain: Captain, server: NatsServer) -> Iterator[Captain]:
    """A Keptn that joined the server with JetStream."""
    captain.keptn.join(captain.project, server.url)
    yield captain
    captain.keptn.leave(captain.project)


@pytest.fixture
def connected(start: Callable[..., Ship], strict: StrictKeptn) -> Callable[..., Ship]:
    """Starts services with Keptn's API for files and look-ups; the broker is named by the test."""
    return partial(start, **connection(strict, "api"))
