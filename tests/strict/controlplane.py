"""The control plane's parts in one place, and the judge's notes on what they were sent.

How requests come in and answers go out is not known here.
"""

import asyncio
import json
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.strict import validation
from tests.strict.broker import Broker
from tests.strict.counting import Controller, Task
from tests.strict.deliveries import Deliveries
from tests.strict.faults import Faults
from tests.strict.lookups import Datastore
from tests.strict.resources import Resources
from tests.strict.uniform import Uniform
from tests.strict.validation import Event, tokens


@dataclass(frozen=True)
class Options:
    """What the command line says.

    `remote` makes the sidecar one of a remote execution plane; `version` from 0.17 on decides
    which paths there are, and whether the API validates events (§9), not how tasks are counted.
    """

    token: str
    door: str = ""
    pace: float = 1.0
    remote: bool = False
    version: str = "1.4.5"


class Keptn:
    """Everything that Keptn knows, in memory."""

    def __init__(self, options: Options, refuse: Callable[[float], None]) -> None:
        self.options, self.refuse = options, refuse
        self.faults = Faults(refuse)
        self.broker = Broker(self.hear)
        self.deliveries = Deliveries(options.door, options.pace, self.broker)
        self._telling: set[asyncio.Task[None]] = set()
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.deliveries.stop()
        self.store, self.resources = Datastore(), Resources()
        self.faults.clear()
        self.controller = Controller(self.keep, self.deliveries.push)
        self.violations: list[dict[str, str]] = []
        self.stages: dict[str, list[str]] = {}
        self.upstreams: dict[str, dict[str, str]] = {}
        self.requests: Counter[str] = Counter()
        self.lookups: deque[dict[str, Any]] = deque(maxlen=10_000)
        self.logs: deque[Any] = deque(maxlen=10_000)
        self.uniform = Uniform()
        self.version = self.options.version

    @property
    def is_strict(self) -> bool:
        """§9: whether the API validates events."""
        return self.release >= (0, 19)

    @property
    def release(self) -> tuple[int, int]:
        """The first two numbers of the version."""
        major, minor = self.version.split(".")[:2]
        return int(major), int(minor)

    def keep(self, event: Event) -> None:
        """Store what the controller says; NATS is told here of the ends of sequences only."""
        self.store.add(event)
        if event["type"].endswith(".finished"):
            telling = asyncio.ensure_future(self.broker.publish(event))
            self._telling.add(telling)
            telling.add_done_callback(self._telling.discard)

    def hear(self, body: bytes) -> None:
        """An event that the stream has: answers only, for all else is the controller's own."""
        event = json.loads(body)
        if tokens(event.get("type"))[4:] in (["started"], ["finished"]):
            task = self.judge(event, len(body), binary=False)
            if task and event["type"].endswith(".started"):
                task.start_promised = True
            self.publish(event)

    def publish(self, event: Event) -> None:
        """§1.5, §3.5: what NATS brings to the datastore and to the controller."""
        if event["type"].startswith("sh.keptn.event.") and validation.is_rfc3339(event.get("time")):
            self.store.add({"time": validation.now()} | event)
        if why := self.controller.receive(event):
            rule, _, detail = why.partition(": ")
            self.object_to(rule, event, detail)

    def judge(self, event: Event, size: int, *, binary: bool) -> Task | None:
        """Look at what came in before it is refused or lost; returns the task it names."""
        task = self.controller.tasks.get(str(event.get("triggeredid") or ""))
        kind = tokens(event.get("type"))[-1:]
        if binary:
            self.object_to("binary_mode", event)
        if kind in (["started"], ["finished"]):
            trigger = task.trigger if task else None
            for rule, detail in validation.faults_of(event, size, trigger):
                self.object_to(rule, event, detail)
        if kind == ["finished"] and task and not task.start_promised:
            self.object_to("finished_before_started", event)
        return task

    def object_to(self, rule: str, event: Event, detail: str = "") -> None:
        """Note something that a strict Keptn would drop, or that would hang a sequence."""
        triggeredid = str(event.get("triggeredid") or "")
        self.violations.append({"rule": rule, "triggeredid": triggeredid, "detail": detail})
