"""Keptn's language both ways: what comes in is parsed once, what goes out is built and bounded.

Pure functions of bytes and values; nothing in this room does I/O or asks the time.
"""

from app.events.build import Message, Outcome, Result, Status, errored
from app.events.parse import Event

__all__ = ["Event", "Message", "Outcome", "Result", "Status", "errored"]
