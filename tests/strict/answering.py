"""The service's part in the double's own tests: a door for events, and raw answers to them.

It keeps to no rule of its own; tests say what is sent.
"""

import json
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from tests.strict.client import StrictKeptn

TOKEN = {"x-token": "strict"}


class Door(ThreadingHTTPServer):
    """A service's door that keeps what it gets and answers from a list, then 202."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.got: list[dict[str, Any]] = []
        self.statuses: list[int] = []
        self.url = f"http://127.0.0.1:{self.server_port}/"


class Answering(BaseHTTPRequestHandler):
    server: Door

    def do_POST(self) -> None:
        assert self.headers["Content-Type"] == "application/cloudevents+json"
        self.server.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        pass


class Round:
    """One triggered task and the messages that answer it."""

    def __init__(self, keptn: StrictKeptn, **more: Any) -> None:
        self.keptn = keptn
        self.context, self.id = keptn.trigger(["test"], **{"deliver": 0, **more}).values()

    def event(self, kind: str, **more: Any) -> dict[str, Any]:
        return {
            "specversion": "1.0",
            "id": str(uuid.uuid4()),
            "source": "me",
            "type": f"sh.keptn.event.test.{kind}",
            "shkeptncontext": self.context,
            "triggeredid": self.id,
            "data": {"project": "p", "stage": "s", "service": "svc", **more},
        }

    def send(self, kind: str, path: str = "/event", **more: Any) -> httpx.Response:
        """From a client of its own, as a service would."""
        with httpx.Client(
            base_url=self.keptn.sidecar_url, headers=TOKEN, trust_env=False
        ) as client:
            return client.post(path, json=self.event(kind, **more))

    def finish(self, path: str = "/event") -> httpx.Response:
        return self.send("finished", path, status="succeeded", result="pass")

    @property
    def started(self) -> int:
        return int(self.keptn.task(self.id)["started"])
