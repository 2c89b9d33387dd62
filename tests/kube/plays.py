"""What the double does with Jobs: a controller and nodes that play scripts for containers."""

import asyncio
import base64
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.clock import Clock
from app.engines.kubernetes import unpack
from tests.kube.store import Object, Store


@dataclass
class Play:
    """How a pod with some image fares; `gate` holds its container until it is set.

    `seconds_in` names a variable that says for how long; who `tells_time` prints when it ended.
    """

    starts_in: float = 0.0
    seconds: float = 0.0
    output: bytes = b""
    code: int = 0
    reason: str = ""
    message: str = ""
    waiting: tuple[tuple[str, str], ...] = ()
    unschedulable: str = ""
    evicted: str = ""
    failed_create: str = ""
    deaf: bool = False
    gate: asyncio.Event | None = None
    last_words: bytes = b""
    condition_after: float = 1.0
    seconds_in: str = ""
    tells_time: bool = False


@dataclass
class Life:
    """One Job being played."""

    name: str
    namespace: str
    pod: str
    play: Play
    task: "asyncio.Task[None] | None" = None
    asked_to_end: asyncio.Event = field(default_factory=asyncio.Event)
    printed: bytearray = field(default_factory=bytearray)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    folder: Path | None = None


class Controller:
    """Gives every Job a pod and an end."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.plays: dict[str, Play] = {}
        self.lives: dict[str, Life] = {}
        self.launched: list[str] = []
        self.folder = tempfile.TemporaryDirectory()

    def begin(self, job: Object) -> None:
        """A Job was created."""
        metadata, container = job["metadata"], job["spec"]["template"]["spec"]["containers"][0]
        play = self.plays.get(container["image"], Play())
        name, namespace = metadata["name"], metadata["namespace"]
        life = Life(name, namespace, f"{name}-x1y2z", play)
        self.lives[name] = life
        life.task = asyncio.create_task(self._live(life, job))

    def delete(self, namespace: str, name: str) -> None:
        """A Job was deleted: its pod follows in the background."""
        self.store.delete("jobs", namespace, name)
        if life := self.lives.get(name):
            life.asked_to_end.set()
            if life.task and life.task.done():
                self.store.delete("pods", namespace, life.pod)

    async def close(self) -> None:
        """End all lives."""
        for life in self.lives.values():
            if life.task:
                life.task.cancel()
        await asyncio.gather(
            *(one.task for one in self.lives.values() if one.task), return_exceptions=True
        )
        self.folder.cleanup()

    async def _live(self, life: Life, job: Object) -> None:
        if life.play.failed_create:
            await self._fail_to_create(life, job)
            return
        watchdog = asyncio.create_task(self._deadline(life, job))
        try:
            await self._play(life, self._pod(life, job), job["spec"]["template"]["spec"])
        finally:
            watchdog.cancel()

    async def _fail_to_create(self, life: Life, job: Object) -> None:
        for _ in range(100):
            self.event(life.namespace, job, "FailedCreate", life.play.failed_create)
            await self.clock.sleep(5)

    async def _deadline(self, life: Life, job: Object) -> None:
        await self.clock.sleep(job["spec"]["activeDeadlineSeconds"])
        life.asked_to_end.set()
        await life.ended.wait()
        self._condition(life, "Failed", "DeadlineExceeded", "Job was active longer than specified")

    def _pod(self, life: Life, job: Object) -> Object:
        template = job["spec"]["template"]
        metadata = {
            "name": life.pod,
            "namespace": life.namespace,
            "labels": {**template["metadata"]["labels"], "job-name": life.name},
        }
        self.launched.append(life.name)
        body = {"metadata": metadata, "spec": template["spec"], "status": {"phase": "Pending"}}
        return self.store.create("pods", {"apiVersion": "v1", "kind": "Pod", **body})

    async def _play(self, life: Life, pod: Object, spec: Object) -> None:
        play = life.play
        if play.unschedulable:
            self._status(life, conditions=[_unschedulable(play.unschedulable)])
            await self._until_deleted(life)
            return
        if not await self._files(life, pod, spec):
            return
        for reason, message in play.waiting:
            self._container(life, "Pending", {"waiting": {"reason": reason, "message": message}})
            await self._pause(life, 3)
        if play.waiting:
            await self._until_deleted(life)
            return
        await self._pause(life, play.starts_in)
        self._container(life, "Running", {"running": {"startedAt": self.store.stamp()}})
        life.printed += play.output
        given = {one["name"]: one["value"] for one in spec["containers"][0]["env"]}
        await self._pause(life, float(given.get(play.seconds_in) or play.seconds))
        if play.gate and not life.asked_to_end.is_set():
            await self._first(life.asked_to_end.wait(), play.gate.wait())
        if life.asked_to_end.is_set():
            await self._die(life)
        else:
            await self._end(life)

    async def _pause(self, life: Life, seconds: float) -> None:
        if seconds:
            await self.clock.wait(life.asked_to_end, seconds)

    async def _first(self, *waits: Any) -> None:
        tasks = [asyncio.ensure_future(one) for one in waits]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()

    async def _until_deleted(self, life: Life) -> None:
        await life.asked_to_end.wait()
        life.ended.set()
        self.store.delete("pods", life.namespace, life.pod)

    async def _die(self, life: Life) -> None:
        """SIGTERM, the grace, and the pod goes."""
        self.store.update(
            "pods", life.namespace, life.pod, metadata={"deletionTimestamp": self.store.stamp()}
        )
        if life.play.deaf:
            await self.clock.sleep(1e6)
        await self.clock.sleep(0.5)
        life.printed += life.play.last_words
        await self.clock.sleep(0.5)
        self._terminated(life, 143, "Error", "")
        life.ended.set()
        await self.clock.sleep(0.2)
        self.store.delete("pods", life.namespace, life.pod)

    async def _end(self, life: Life) -> None:
        play = life.play
        if play.tells_time:
            life.printed += f"{self.clock.now():.6f}\n".encode()
        if play.evicted:
            self._status(life, phase="Failed", reason="Evicted", message=play.evicted)
        else:
            message = play.message
            if play.code and not message:
                message = bytes(life.printed[-2048:]).decode(errors="replace")
            reason = play.reason or ("Error" if play.code else "Completed")
            self._terminated(life, play.code, reason, message)
        await self._conclude(life, failed=bool(play.code or play.evicted))

    async def _conclude(self, life: Life, *, failed: bool) -> None:
        """What the Job's controller makes of it, some time after the container's end."""
        life.ended.set()
        await self.clock.sleep(life.play.condition_after)
        if failed:
            self._condition(life, "Failed", "BackoffLimitExceeded", "Job has reached the limit")
        else:
            self._condition(life, "Complete", "", "")
        if life.asked_to_end.is_set():  # its Job went meanwhile
            self.store.delete("pods", life.namespace, life.pod)

    def _terminated(self, life: Life, code: int, reason: str, message: str) -> None:
        state = {"exitCode": code, "reason": reason, "message": message}
        self._container(life, "Failed" if code else "Succeeded", {"terminated": state})

    def _container(self, life: Life, phase: str, state: Object) -> None:
        self._status(life, phase=phase, containerStatuses=[{"name": life.name, "state": state}])

    def _status(self, life: Life, **status: Any) -> None:
        self.store.update("pods", life.namespace, life.pod, status=status)

    def _condition(self, life: Life, kind: str, reason: str, message: str) -> None:
        # A condition that is there and false says nothing: only type and status together count.
        conditions = [
            {"type": "Suspended", "status": "False"},
            {"type": "Failed", "status": "False"},
            {"type": kind, "status": "True", "reason": reason, "message": message},
        ]
        wanted = [one for one in conditions[:2] if one["type"] != kind] + conditions[2:]
        self.store.update("jobs", life.namespace, life.name, status={"conditions": wanted})

    def event(self, namespace: str, subject: Object, reason: str, message: str) -> None:
        """Somebody in the cluster says something about an object."""
        about = {"kind": subject["kind"], **{k: subject["metadata"][k] for k in ("name", "uid")}}
        body = {"reason": reason, "message": message, "type": "Warning", "involvedObject": about}
        metadata = {"generateName": "event-", "namespace": namespace}
        self.store.create("events", {"kind": "Event", "metadata": metadata, **body})

    async def _files(self, life: Life, pod: Object, spec: Object) -> bool:
        """Run the init container, if there is one, for real."""
        if not spec.get("initContainers"):
            return True
        life.folder = Path(self.folder.name) / life.name
        parts = life.folder / "parts"
        parts.mkdir(parents=True)
        (life.folder / "keptn").mkdir(exist_ok=True)
        sources = next(one for one in spec["volumes"] if one["name"] == "files")["projected"]
        for source in sources["sources"]:
            one = source["configMap"]
            found = self.store.objects.get(("configmaps", life.namespace, one["name"]))
            if found is None:
                text = f'MountVolume.SetUp failed: configmap "{one["name"]}" not found'
                self.event(life.namespace, pod, "FailedMount", text)
                await self._until_deleted(life)
                return False
            item = one["items"][0]
            content = base64.b64decode(found["binaryData"][item["key"]])
            (parts / item["path"]).write_bytes(content)
        words = await self._initiate(life, spec["initContainers"][0])
        if words:
            state = {"terminated": {"exitCode": 1, "reason": "Error", "message": words}}
            self._status(
                life, phase="Failed", initContainerStatuses=[{"name": "files", "state": state}]
            )
            self._condition(life, "Failed", "BackoffLimitExceeded", "")
        return not words

    async def _initiate(self, life: Life, container: Object) -> str:
        """Do what the init container does; the answer is what it says when it fails."""
        assert life.folder
        try:
            unpack.unpack(life.folder / "parts", life.folder / "keptn", container["args"][2])
        except SystemExit as error:
            return str(error)
        return ""


def _unschedulable(text: str) -> Object:
    return {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": text}


Faults = Callable[[str, str], int | None]
NAMESPACED = re.compile(
    r"/(?:api/v1|apis/batch/v1)/namespaces/([^/]+)/([a-z]+)(?:/([^/]+))?(?:/(log))?"
)
