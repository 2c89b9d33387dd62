"""The named moments at which a crash must lose nothing; in the shipped service they do nothing.

A start script under tests/ replaces `reached` to end the process at one of them; no logic lives
here.
"""

NAMES = (
    "schema half made",
    "accept committed",
    "plan committed",
    "intent committed",
    "sent",
    "reply received",
    "launch committed",
    "files written",
    "forked",
    "child ended",
    "exit seen",
    "container found",
    "files shelved",
    "job created",
    "job found",
)
"""In the order of a run. `forked` and `child ended` are reached in the supervisor, `sent` in the
HTTP client, between a request's last byte and its reply."""


def reached(name: str) -> None:
    """Mark that the moment `name` has come."""
