"""One launch on its way: how patient to be with it. Nothing is asked or told here."""

import asyncio
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


@dataclass(slots=True)
class Flight:
    """A launch that somebody waits for; times are the clock's ticks.

    `cancelled` is set from outside; `told` is what events said; `wait` has lasted since `since`,
    and `words` are the cluster's about it.
    """

    key: str
    namespace: str
    record: Record
    patience: Patience
    begun: float
    ends_at: float
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0
    cancelled: bool = False
    ended: Ended | None = None
    told: tuple[Wait, str] = ("", "")
    wait: Wait = ""
    words: str = ""
    since: float = 0.0
    looked_at: float = 0.0

    def trouble(self, now: float) -> tuple[str, str] | None:
        """The cause and the words for which it must be put down, if there are."""
        self._note(now)
        if self.cancelled:
            return "cancelled", ""
        if now >= self.ends_at:
            return "timeout", self.words
        return ("create", self.words) if self.wait and now >= self._hopeless_at() else None

    def patient_until(self) -> float:
        """When to look again should nothing happen."""
        hopeless_at = self._hopeless_at() if self.wait else self.ends_at
        return min(self.ends_at, hopeless_at, self._look_at())

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

    def _hopeless_at(self) -> float:
        graces = {"trouble": self.patience.trouble, "room": self.patience.room}
        return self.since + graces.get(self.wait, 0.0)

    def _note(self, now: float) -> None:
        pod = self.record.pod
        wait, words = (pod.wait, pod.words) if pod and (pod.wait or pod.started) else self.told
        if wait != self.wait:
            self.wait, self.since, self.words = wait, now, words
        elif wait and not words.startswith("ImagePullBackOff"):  # why it failed was said before
            self.words = words
