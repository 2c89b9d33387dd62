"""A double of a cluster with an engine on it, imported only where a test asks for it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.clocks import FastClock

if TYPE_CHECKING:
    from tests.kube.harbour import Harbour


@pytest.fixture
async def harbour(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator["Harbour"]:
    """A cluster with a Secret in it, of which nobody may ever see more than its name."""
    from tests.kube.harbour import PLANTED, Harbour  # noqa: PLC0415 - slow to import, as its client
    from tests.kube.server import TOKEN, Kube  # noqa: PLC0415 - as above

    clock = FastClock(50)
    async with Kube(clock).running() as kube:
        kube.secret("planted", PASSWORD=PLANTED)
        harbour = Harbour(kube, tmp_path, clock)
        yield harbour
        await harbour.engine.close()
        kept = (file for file in (tmp_path / "jobs").rglob("*") if file.is_file())
        texts = (kube.said(), caplog.text, *(file.read_text("latin-1") for file in kept))
        assert not [word for word in (TOKEN, PLANTED) for text in texts if word in text]
