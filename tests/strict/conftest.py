"""Fixtures of the double's own tests: one process, emptied for each test, and a door.

What a test says to the double is in `answering.py`.
"""

import threading
from collections.abc import Iterator

import pytest

from tests.strict.answering import Door
from tests.strict.client import StrictKeptn


@pytest.fixture(scope="session")
def process() -> Iterator[StrictKeptn]:
    with StrictKeptn(pace=0.01) as keptn:
        yield keptn


@pytest.fixture
def keptn(process: StrictKeptn) -> StrictKeptn:
    process.reset()
    return process


@pytest.fixture
def door() -> Iterator[Door]:
    server = Door()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
