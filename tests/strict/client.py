"""The tests' side of the strict Keptn: starts the program, gives it orders, asks what it saw.

It decides nothing; every method is one request under /_control.
"""

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import httpx

from tests.closing import Closing

ROOT = Path(__file__).parents[2]


class StrictKeptn(Closing):
    """A strict Keptn in its own process; threads may share it."""

    def __init__(
        self,
        door: str = "",
        token: str = "strict",
        pace: float = 0.1,
        *,
        remote: bool = False,
        version: str = "1.4.5",
        fast: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        command = [sys.executable, "-m", "tests.strict.keptn", "--tethered"]
        command += [
            "--token",
            token,
            "--door",
            door,
            "--pace",
            str(pace),
            "--version",
            version,
            *("--origin", str(fast[0]), "--speed", str(fast[1])),
            *(["--remote"] if remote else []),
        ]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.token = token
        self.sidecar_url = f"http://127.0.0.1:{json.loads(self._process.stdout.readline())['port']}"
        self.api_url = f"{self.sidecar_url}/api"
        self.http = httpx.Client(
            base_url=self.sidecar_url, timeout=90, trust_env=False, verify=False
        )

    def close(self) -> None:
        """End the process."""
        self.http.close()
        self._process.kill()
        self._process.communicate()

    def resource(
        self,
        content: str | bytes | None,
        project: str,
        stage: str = "",
        service: str = "",
        **more: Any,
    ) -> str:
        """Put a file at a level (more: uri, commit), None deletes it; the answer is its commit."""
        raw = content.encode() if isinstance(content, str) else content
        encoded = None if raw is None else base64.b64encode(raw).decode()
        place = {"project": project, "stage": stage, "service": service, "uri": "job/config.yaml"}
        return str(self._post("resources", {**place, "content": encoded, **more})["commit"])

    def spoil_resource(
        self, mode: str, project: str, stage: str = "", service: str = "", **more: Any
    ) -> None:
        """Let a level answer "404", "500", "slow" (seconds) or "garbage" until faults clear."""
        uri = quote_plus(more.pop("uri", "job/config.yaml"))
        levels = {"project": project, "stage": stage, "service": service}
        path = "".join(f"/{name}/{value}" for name, value in levels.items() if value)
        rule = {"where": "resource", "mode": mode, "times": None, **more}
        self.faults({**rule, "path": f"{path}/resource/{uri}"})

    def sequence(self, project: str, stage: str, name: str, tasks: list[str]) -> None:
        """Declare a sequence that may be triggered through the API."""
        self._post("sequences", {"project": project, "stage": stage, "name": name, "tasks": tasks})

    def trigger(
        self,
        tasks: list[str],
        project: str = "p",
        stage: str = "s",
        service: str = "svc",
        **more: Any,
    ) -> dict[str, str]:
        """Start a sequence: {context, triggeredid}.

        More: name, data, labels, event_id, context, gitcommitid, time ("absent" or ISO), deliver
        (times), door, start_timeout (seconds), paused (from the start).
        """
        scope = {"project": project, "stage": stage, "service": service}
        return dict(self._post("trigger", {**scope, "tasks": tasks, **more}))

    def deliver(self, triggeredid: str, times: int = 1) -> None:
        """Push a task's trigger again."""
        self._post("deliver", {"triggeredid": triggeredid, "times": times})

    def hold(self) -> None:
        """Keep deliveries back."""
        self._post("hold", {"on": True})

    def release(self, *, backwards: bool = False) -> None:
        """Deliver what was held, one after the other."""
        self._post("hold", {"on": False, "backwards": backwards})

    def abort(self, triggeredid: str) -> None:
        """Abort the sequence of a task."""
        self._post("abort", {"triggeredid": triggeredid})

    def join(self, project: str, url: str) -> None:
        """Speak to a nats-server for a project, whose tasks are then delivered at door "nats"."""
        self._post("join", {"project": project, "url": url})

    def leave(self, project: str) -> None:
        """Speak to a project's nats-server no more."""
        self._post("join", {"project": project})

    def steer(self, triggeredid: str, state: str, stage: str = "") -> None:
        """Abort, pause or resume the run of a task."""
        self._post("steer", {"triggeredid": triggeredid, "state": state, "stage": stage})

    def faults(self, *rules: dict[str, Any]) -> None:
        """Append rules; their fields are those of `faults.Rule`, their modes `faults.MODES`."""
        self._post("faults", {"rules": rules})

    def clear_faults(self, project: str | None = None) -> None:
        """Drop all rules, or those of a project."""
        self._post("clear_faults", {"project": project})

    def refuse(self, seconds: float) -> None:
        """Refuse connections from now on; 0 ends it."""
        self._post("refuse", {"seconds": seconds})

    def register(self, name: str, *events: str, namespace: str = "keptn", ago: float = 0) -> None:
        """Have an integration in the Uniform that was seen so many seconds ago."""
        order = {"name": name, "events": events, "namespace": namespace, "ago": ago}
        self._post("register", order)

    def forget(self, name: str) -> None:
        """Have an integration's registration expire."""
        self._post("forget", {"name": name})

    def update(self, version: str) -> None:
        """Become another version of Keptn."""
        self._post("update", {"version": version})

    def reset(self) -> None:
        """Forget everything."""
        self._post("reset", {})

    def state(self, **only: str) -> dict[str, Any]:
        """What it saw; the first four only of a `triggeredid` or `context`.

        {tasks, violations, requests, lookups, logs, uniform}
        """
        return dict(self._get("state", only))

    def task(self, triggeredid: str) -> dict[str, Any]:
        """What was counted for one task."""
        return self.wait(triggeredid, "triggered")

    def wait(self, triggeredid: str, until: str = "closed", seconds: float = 10) -> dict[str, Any]:
        """The task, once it is delivered, started, finished, closed or its sequence_closed.

        Raises:
            TimeoutError: it did not come so far within `seconds`.
        """
        asked = {"triggeredid": triggeredid, "until": until, "seconds": seconds}
        answer = self._get("wait", asked)
        if not answer["reached"]:
            raise TimeoutError(f"{triggeredid} was not {until} after {seconds} s: {answer['task']}")
        return dict(answer["task"])

    def _post(self, path: str, order: dict[str, Any]) -> Any:
        return self._checked(self.http.post(f"/_control/{path}", json=order))

    def _get(self, path: str, query: dict[str, Any]) -> Any:
        return self._checked(self.http.get(f"/_control/{path}", params=query))

    @staticmethod
    def _checked(reply: httpx.Response) -> Any:
        assert reply.is_success, reply.text
        return reply.json()
