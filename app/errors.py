"""The errors that cross a room's border.

A failure of the user's own work is no error: it is an `Outcome`.

FirstmateError
├── Temporary   may work later: the caller waits and asks again
└── Permanent   will not work however often it is tried
    └── BadEvent   what came through a door is no event that we can take
"""


class FirstmateError(Exception):
    """Something that Firstmate can name; its text is one line, fit for a user."""


class Temporary(FirstmateError):
    """It may work later.

    `after` is the least number of seconds to wait, where the other side named one.
    """

    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class Permanent(FirstmateError):
    """It will not work, however often it is tried."""


class BadEvent(Permanent):
    """The bytes are no CloudEvent, or a Keptn event without what Keptn guarantees."""
