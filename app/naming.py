"""Names that are made of what others chose: an event id may be any text, so it is never one."""

import hashlib
from typing import NamedTuple


class Place(NamedTuple):
    """Where a task stands in its job config, and which attempt at it this is; all from 0."""

    action: int
    task: int
    attempt: int = 0


def launch_key(event_id: str, place: Place) -> str:
    """The name under which an attempt is launched: one for ever for (event, place)."""
    digest = hashlib.sha256(event_id.encode(errors="surrogatepass")).hexdigest()[:24]
    again = f"-{place.attempt:03d}" if place.attempt else ""
    return f"{digest}-{place.action:03d}-{place.task:03d}{again}"
