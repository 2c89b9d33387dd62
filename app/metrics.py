"""What Prometheus may ask; one object of counters for one service. Nothing is measured here."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class Metrics:
    """The counters of one service, on a registry of their own."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self.accepted = Counter(
            "firstmate_accepted",
            "Events taken: new, duplicate, foreign",
            ["verdict"],
            registry=registry,
        )
        self.rejected = Counter(
            "firstmate_rejected", "Requests refused at the door", ["status"], registry=registry
        )
        self.ignored = Counter(
            "firstmate_ignored", "Runs that ended in silence", ["reason"], registry=registry
        )
        self.answered = Counter(
            "firstmate_answered", "Runs answered", ["status", "result", "reason"], registry=registry
        )
        self.sent = Counter(
            "firstmate_sent", "Messages delivered", ["destination", "kind"], registry=registry
        )
        self.doubtful = Counter(
            "firstmate_doubtful",
            "Messages sent again, or left unconfirmed, because nothing could be asked",
            ["kind"],
            registry=registry,
        )
        self.task_seconds = Histogram(
            "firstmate_task_seconds",
            "Launch to end of a task",
            buckets=(0.1, 0.5, 1, 5, 15, 60, 300, 1800),
            registry=registry,
        )
        self.start_seconds = Histogram(
            "firstmate_plan_seconds", "Acceptance to pinned plan", registry=registry
        )

    def gauge(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """A figure that is read when somebody asks for it."""
        Gauge(f"firstmate_{name}", help_text, registry=self._registry).set_function(read)

    def render(self) -> bytes:
        """All figures in Prometheus' text format."""
        return generate_latest(self._registry)
