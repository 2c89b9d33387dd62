"""Who is told of a piece of a run's work that has ended; by default nobody.

What spans look like stands in `app.spans`, which is loaded only where an endpoint is configured.
"""

from app.ledger import Run


class Tracer:
    """Tells nobody, and costs nothing."""

    def ended(self, name: str, run: Run, began: float, now: float, **attributes: str) -> None:
        """A `run`, or its `plan`, a `task` or `send`, lasted from `began` to `now` (epoch)."""

    def close(self) -> None:
        """Hand over what is still held back; may take seconds."""
