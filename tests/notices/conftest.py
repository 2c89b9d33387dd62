"""A receiver of notices, and channels that lead to it."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.notifiers import KINDS
from app.notifiers.channel import Address, Channel, Notifier
from app.outbound import Outbound
from tests.notices.receiver import Receiver, receiving

Make = Callable[..., Notifier]


@pytest.fixture(autouse=True)
def _quiet_client() -> None:
    """As the service's own log does: httpx would write URLs down."""
    logging.getLogger("httpx").setLevel(logging.WARNING)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def make(receiver: Receiver, outbound: Outbound) -> Make:
    """Makes notifiers that lead to the receiver."""

    def make(kind: Any = "webhook", name: str = "chat", **more: Any) -> Notifier:
        channel = Channel.model_construct(
            name=name, kind=kind, url_from=Address(env="HOOK"), **more
        )
        return KINDS[kind](channel, outbound, {"HOOK": receiver.url})

    return make


def write(path: Path, text: str) -> Path:
    """A file with this text."""
    path.write_text(text)
    return path
