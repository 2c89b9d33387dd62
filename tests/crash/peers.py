"""Who the service answers to in a round: a strict Keptn, or the plane in the service itself.

Both say in the same words what they counted; what that means for a round is judged elsewhere.
"""

import contextlib
import time
import uuid
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.crash.service import Service
from tests.nats.server import NatsServer
from tests.strict.client import StrictKeptn

TASK = "sh.keptn.event.work"
_OPEN = "/controlPlane/v1/event/triggered"
SCOPE = {"project": "", "stage": "dev", "service": "svc"}


@dataclass(frozen=True)
class Verdict:
    """What was counted of the service's answers to the task, and how many came too late for it."""

    complete: bool
    started: int
    finished: int
    late: int
    violations: tuple[str, ...]
    message: str


class Peer(ABC):
    """One project with one sequence of one task, `work`."""

    @abstractmethod
    def trigger(self) -> None:
        """Start the sequence; its event is delivered until it is taken."""

    @abstractmethod
    def deliver_again(self) -> None:
        """Deliver the task's event once more; it is taken when this returns."""

    @abstractmethod
    def await_end(self, seconds: float) -> bool:
        """Whether the task is closed within that time."""

    @abstractmethod
    def verdict(self) -> Verdict:
        """What came of it."""

    def disturb(self) -> None:  # noqa: B027 - most have nothing in between
        """Break off whatever lies between Keptn and the service, and let it be there again."""

    def close(self) -> None:  # noqa: B027 - most have nothing of their own
        """Leave nothing running."""


class StrictPeer(Peer):
    """A project of a strict Keptn."""

    def __init__(self, keptn: StrictKeptn, service: Service, config: str, transport: str) -> None:
        self.keptn = keptn
        self.project = f"p{uuid.uuid4().hex[:12]}"
        self.deliveries = 1
        self._service = service
        self._door = "" if transport == "poll" else service.door
        self._id = ""
        keptn.resource(config, self.project, "dev", "svc")
        service.environment = {"KEPTN_DISTRIBUTOR_URL": keptn.sidecar_url}
        if transport != "sidecar":
            api = {"KEPTN_API_ENDPOINT": keptn.api_url, "KEPTN_API_TOKEN": keptn.token}
            service.environment = api | {"KEPTN_POLL": str(transport == "poll").lower()}

    def trigger(self) -> None:
        """See `Peer.trigger`."""
        scope = {**SCOPE, "project": self.project}
        triggered = self.keptn.trigger(["work"], **scope, door=self._door, deliver=self.deliveries)
        self._id = triggered["triggeredid"]

    def deliver_again(self) -> None:
        """See `Peer.deliver_again`."""
        if not self._door:  # it is pushed, too
            found = self.keptn.http.get(f"{_OPEN}/{TASK}.triggered", params={"eventID": self._id})
            event = found.raise_for_status().json()["events"][0]
            httpx.post(self._service.door, json=event, trust_env=False).raise_for_status()
            return
        before = len(self.keptn.task(self._id)["deliveries"])
        self.keptn.deliver(self._id)
        while len(self.keptn.task(self._id)["deliveries"]) == before:
            time.sleep(0.01)

    def await_end(self, seconds: float) -> bool:
        """See `Peer.await_end`."""
        try:
            self.keptn.wait(self._id, "closed", seconds)
        except TimeoutError:
            return False
        return True

    def verdict(self) -> Verdict:
        """See `Peer.verdict`."""
        task = self.keptn.task(self._id)
        violations = self.keptn.state(triggeredid=self._id)["violations"]
        heard = [one["event"]["data"].get("message", "") for one in task["events"]]
        return Verdict(
            task["closed_by"] == "completed",
            task["started"],
            task["finished"],
            task["ignored_started"] + task["ignored_finished"],
            tuple(note["rule"] for note in violations),
            "".join(heard),
        )


class NatsPeer(StrictPeer):
    """A project that joined a nats-server of this round alone, with a stream or without.

    Without one, answers go through the API; look-ups and files always do.
    """

    def __init__(self, keptn: StrictKeptn, service: Service, config: str, transport: str) -> None:
        super().__init__(keptn, service, config, "api")
        self._service = service
        self._door = "nats"
        streams = service.folder / "streams" if transport == "jetstream" else None
        self._server = NatsServer(streams)
        service.environment |= {"EVENTBROKER": self._server.url, "KEPTN_TASKS": "work"}
        keptn.join(self.project, self._server.url)

    def trigger(self) -> None:
        """See `Peer.trigger`; what NATS does not keep is found by comparing."""
        self._service.await_broker()
        super().trigger()

    def disturb(self) -> None:
        """See `Peer.disturb`."""
        self._server.kill()
        self._server.start()

    def close(self) -> None:
        """See `Peer.close`."""
        self.keptn.leave(self.project)
        self._server.close()


class PlanePeer(Peer):
    """The embedded plane, which dies and rises with the service."""

    def __init__(self, service: Service, config: str) -> None:
        self._service = service
        self._context = str(uuid.uuid4())
        _write_project(service.folder, config)

    def trigger(self) -> None:
        """See `Peer.trigger`."""
        event = {
            "specversion": "1.0",
            "id": "any",
            "source": "tests",
            "type": "sh.keptn.event.dev.delivery.triggered",
            "shkeptncontext": self._context,
            "data": {**SCOPE, "project": "crash"},
        }
        # The plane may be killed with the service before it replies.
        with contextlib.suppress(httpx.TransportError), self._client() as client:
            client.post("/v1/event", json=event)

    def deliver_again(self) -> None:
        """See `Peer.deliver_again`."""
        (triggered,) = self._events("triggered")
        httpx.post(self._service.door, json=triggered, trust_env=False).raise_for_status()

    def await_end(self, seconds: float) -> bool:
        """See `Peer.await_end`."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                if self._state() == "finished":
                    return True
            except httpx.TransportError:
                return False
            time.sleep(0.05)
        return False

    def verdict(self) -> Verdict:
        """See `Peer.verdict`; the plane stores every answer and does not say which came late."""
        finished = self._events("finished")
        message = "".join(event["data"].get("message", "") for event in finished)
        started = len(self._events("started"))
        return Verdict(self._state() == "finished", started, len(finished), 0, (), message)

    def _state(self) -> str:
        found = self._get("controlPlane/v1/sequence-execution")["sequenceExecutions"]
        return str(found[0]["status"]["state"]) if found else ""

    def _events(self, kind: str) -> list[dict[str, Any]]:
        return list(self._get("mongodb-datastore/event", type=f"{TASK}.{kind}")["events"])

    def _get(self, path: str, **more: str) -> dict[str, Any]:
        query = {"project": "crash", "keptnContext": self._context, **more}
        with self._client() as client:
            return dict(client.get(f"/{path}", params=query).raise_for_status().json())

    def _client(self) -> httpx.Client:
        token = (self._service.data_dir / "plane.token").read_text().strip()
        api = self._service.place["api"]
        return httpx.Client(base_url=api, headers={"x-token": token}, timeout=10, trust_env=False)


def _write_project(folder: Path, config: str) -> None:
    tasks = "[{name: work}]"
    stage = f"{{name: dev, sequences: [{{name: delivery, tasks: {tasks}}}]}}"
    head = "apiVersion: spec.keptn.sh/0.2.4\nkind: Shipyard\nmetadata: {name: crash}\n"
    (folder / "shipyard.yaml").write_text(f"{head}spec: {{stages: [{stage}]}}\n")
    (folder / "jobconfig.yaml").write_text(config)
