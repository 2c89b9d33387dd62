"""The engine of a pod that has none: every task is answered at once, saying what is missing."""

from app.engines.contract import Ended, Output, Work
from app.errors import Permanent


class NoEngine:
    """Refuses all work."""

    name = "none"
    without_effect: frozenset[str] = frozenset()

    async def launch(self, key: str, work: Work) -> Ended:  # noqa: ARG002 - the contract
        """See `Engine.launch`."""
        raise Permanent(
            "no engine: this Firstmate does not start Kubernetes Jobs yet, and processes in its own"
            " pod only when told to; set RUNNER=process to have them"
        )

    async def attach(self, key: str) -> Ended | None:  # noqa: ARG002 - the contract
        """See `Engine.attach`."""
        return None

    async def cancel(self, key: str) -> None:
        """See `Engine.cancel`."""

    def logs(self, key: str) -> Output:  # noqa: ARG002 - the contract
        """See `Engine.logs`."""
        return Output(b"", 0, b"")

    def clear(self, key: str) -> None:
        """See `Engine.clear`."""

    def forget(self, key: str) -> None:
        """See `Engine.forget`."""

    async def close(self) -> None:
        """See `Engine.close`."""
