"""One launch on its way: how patient to be with it. Nothing is asked or told here."""

import asyncio
import math
from dataclasses import dataclass, field

from app.engines.contract import Ended
from app.engines.kubernetes.mirror import Record
from app.engines.kubernetes.sight import Wait

FIRST_LOOK = 5.0
"""After so long without a running container, the events are asked why; then ever more seldom."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds for which the cluster may be unable to start a pod: for room it may well be given."""

    trouble: float = 15.0
    room: float = 180.0

    def of(self, wait: Wait) -> float:
        """For how long it may last."""
        return {"": math.inf, "hopeless": 0.0, "trouble": self.trouble, "room": self.room}[wait]


@dataclass(slots=True)
class Flight:
    """A launch that somebody waits for; times are the clock's ticks.

    `cancelled` is set from outside; `told` is what events said; what it waits for, if
    anything, is hopeless at `hopeless_at`, and `words` are the cluster's about it.
    """

    key: str
    namespace: str
    record: Record
    patience: Patience
    begun: float
    ends_at: float
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    cancelled: bool = False
    ended: Ended | None = None
    told: tuple[Wait, str] = ("", "")
    wait: Wait = ""
    words: str = ""
    hopeless_at: float = math.inf
    looked_at: float = 0.0

    def trouble(self, now: float) -> tuple[str, str] | None:
        """The cause and the words for which it must be put down, if there are."""
        self._note(now)
        if self.cancelled:
            return "cancelled", ""
        if now >= self.ends_at:
            return "timeout", self.words
        return ("create", self.words) if now >= self.hopeless_at else None

    def patient_until(self) -> float:
        """When to look again should nothing happen."""
        return min(self.ends_at, self.hopeless_at, self._look_at())

    def is_due_for_a_look(self, now: float) -> bool:
        """Whether its events should be asked for; the next time is twice as late."""
        due = now >= self._look_at()
        if due:
            self.looked_at = now
        return due

    def _look_at(self) -> float:
        """Never while a container runs, or the pod itself says why it does not."""
        pod = self.record.pod
        if pod and (pod.started or pod.wait):
            return self.ends_at
        return max(self.begun + FIRST_LOOK, 2 * self.looked_at - self.begun)

    def _note(self, now: float) -> None:
        pod = self.record.pod
        wait, words = (pod.wait, pod.words) if pod and (pod.wait or pod.started) else self.told
        if wait != self.wait:
            self.wait, self.words, self.hopeless_at = wait, words, now + self.patience.of(wait)
        elif wait and not words.startswith("ImagePullBackOff"):  # why it failed was said before
            self.words = words
