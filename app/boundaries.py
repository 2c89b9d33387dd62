"""The named moments at which a crash must lose nothing; in the shipped service they do nothing.

A start script under tests/ replaces `reached` to end the process at one of them; no logic lives
here. `forked` and `child ended` are reached in the supervisor, `sent` in the HTTP client, between a
request's last byte and its reply.
"""


def reached(name: str) -> None:
    """Mark that the moment `name` has come."""
