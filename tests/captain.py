"""One project at the strict Keptn, as a test of the service sees it: never blocks the loop.

What Keptn does with an order, or with an answer, is decided in `tests/strict`.
"""

import asyncio
import json
import uuid
from typing import Any

from tests.strict.client import StrictKeptn

Json = dict[str, Any]


def config(*cmd: str, task: str = "test", **more: Any) -> str:
    """A job config with one action of one task, which runs `cmd` for the Keptn task `task`."""
    return document(
        {"name": "Act", "events": [{"name": f"sh.keptn.event.{task}.triggered"}]}
        | {"tasks": [{"name": "Do", "image": "alpine", "cmd": list(cmd), **more}]}
    )


def document(*actions: Json) -> str:
    """A job config with these actions; JSON is YAML."""
    return json.dumps({"apiVersion": "v2", "actions": actions})


class Captain:
    """A Keptn that knows one project of this test, with stage `s` and service `svc`."""

    def __init__(self, keptn: StrictKeptn) -> None:
        self.keptn = keptn
        self.project = f"p{uuid.uuid4().hex[:12]}"

    def put(self, content: str | None, stage: str = "s", service: str = "svc") -> str:
        """Write the job config at a level; the answer is its commit."""
        return self.keptn.resource(content, self.project, stage, service)

    def fault(self, mode: str, **more: Any) -> None:
        """One exchange, or as many as `times` says, goes wrong."""
        self.keptn.faults({"mode": mode, "project": self.project, **more})

    def spoil(self, mode: str) -> None:
        """The config's service level answers oddly, until `mend`."""
        level = "/service/svc/resource/job%2Fconfig.yaml"
        self.fault(mode, where="resource", path=level, times=None)

    def mend(self) -> None:
        """All faults end."""
        self.keptn.clear_faults(self.project)

    async def trigger(self, door: str, task: str = "test", **more: Any) -> str:
        """Have a task triggered and delivered to a door; the answer is the event's id."""
        given = {"project": self.project, "door": door, **more}
        answer = await asyncio.to_thread(self.keptn.trigger, [task], **given)
        return answer["triggeredid"]

    async def wait(self, triggeredid: str, until: str = "closed", seconds: float = 10) -> Json:
        """What was counted for the task, once it came so far."""
        return await asyncio.to_thread(self.keptn.wait, triggeredid, until, seconds)

    def counts(self, triggeredid: str) -> tuple[int, int]:
        """How many `started` and `finished` were counted, late ones included."""
        task = self.keptn.task(triggeredid)
        late = task["ignored_started"], task["ignored_finished"]
        return task["started"] + late[0], task["finished"] + late[1]

    def violations(self, triggeredid: str) -> list[Json]:
        """What the strict Keptn objects to in our answers to this event."""
        return list(self.keptn.state(triggeredid=triggeredid)["violations"])

    def finished(self, triggeredid: str) -> Json:
        """The data of the first `finished` that was counted."""
        heard = self.keptn.task(triggeredid)["events"]
        return next(one["event"]["data"] for one in heard if one["kind"] == "finished")
