"""What Prometheus may ask; one object of counters for one service. Nothing is measured here."""

from collections.abc import Callable, Mapping
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

NAMESPACE = "firstmate"
TASK_BUCKETS = (0.1, 0.5, 1, 5, 15, 60, 300, 1800)


class Metrics:
    """The counters of one service, on a registry of their own."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        count = partial(Counter, namespace=NAMESPACE, registry=registry)
        measure = partial(Histogram, namespace=NAMESPACE, registry=registry)
        self.accepted = count("accepted", "Events taken: new, duplicate, foreign", ["verdict"])
        self.rejected = count("rejected", "Requests refused at the door", ["status"])
        self.ignored = count("ignored", "Runs that ended in silence", ["reason"])
        self.answered = count("answered", "Runs answered", ["status", "result", "reason"])
        self.retried = count("retried", "Tasks that were launched again, by why", ["reason"])
        self.reads = count("reads", "Files of Keptn: remembered, or asked for", ["answer"])
        self.sent = count("sent", "Messages delivered", ["destination", "kind"])
        self.dead = count("dead_letters", "Messages that were given up", ["destination"])
        self.doubtful = count("doubtful", "Messages whose arrival could not be asked for", ["kind"])
        self.task_seconds = measure("task_seconds", "Launch to end of a task", buckets=TASK_BUCKETS)
        decided = "Acceptance to decision: plan, or why nothing is run"
        self.plan_seconds = measure("plan_seconds", decided, ["decision"])

    def gauge(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """A figure that is read when somebody asks for it."""
        Gauge(name, help_text, namespace=NAMESPACE, registry=self._registry).set_function(read)

    def gauges(
        self, name: str, help_text: str, label: str, read: Callable[[], Mapping[str, float]]
    ) -> None:
        """Figures by the values of a label, read when somebody asks for them."""

        class Figures(Collector):
            def collect(self) -> list[GaugeMetricFamily]:
                family = GaugeMetricFamily(f"{NAMESPACE}_{name}", help_text, labels=[label])
                for value, figure in read().items():
                    family.add_metric([value], figure)
                return [family]

        self._registry.register(Figures())

    def render(self) -> bytes:
        """All figures in Prometheus' text format."""
        return generate_latest(self._registry)
