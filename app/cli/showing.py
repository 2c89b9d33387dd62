"""`firstmate demo`: a real service on a temporary data folder, watched from outside.

All that is shown comes from the events API, but for the lines of a task's output (from the run's
log, marked so) and the forwarded notices (from whoever received them).
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import click

from app import settings
from app.cli import triggering
from app.cli.reading import output
from app.clock import Clock
from app.errors import FirstmateError, Permanent
from app.ledger import guard, rows, store

PATIENCE = 30.0
"""Seconds after which a chain that does not end has failed."""

START_TIMEOUT = "3s"
_TICK = 0.05
_SCOPE = {"stage": "production", "service": "hello"}
_ANSWERED = ["sequence triggered", "{0} triggered", "{0} started", "{0} finished"]


class Receiver(HTTPServer):
    """Somebody who is forwarded what Keptn is sent."""

    def __init__(self) -> None:
        self.notices: list[dict[str, Any]] = []
        super().__init__(("127.0.0.1", 0), _Notices)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Notices(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.notices.append(json.loads(body))  # type: ignore[attr-defined]
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@dataclass
class Stage:
    """What is watched: the service's data folder, and what was shown of it so far."""

    data: Path
    receiver: Receiver
    clock: Clock = field(default_factory=Clock)
    shown: set[str] = field(default_factory=set)
    printed: dict[str, int] = field(default_factory=dict)

    def get(self, path: str) -> dict[str, Any]:
        """Ask the plane's API."""
        base, token = triggering.api()
        return triggering.call("GET", f"{base}/{path}", token)

    def wait(self, what: str, is_so: Callable[[], bool]) -> bool:
        """Until it is so; on a terminal, with the seconds in place."""
        begun = self.clock.tick()
        while not (done := is_so()) and (passed := self.clock.tick() - begun) < PATIENCE:
            if sys.stdout.isatty():
                click.echo(f"\r  ... {what}, {passed:.0f} s ", nl=False)
            self.clock.pause(_TICK)
        if sys.stdout.isatty():
            click.echo("\r\x1b[K", nl=False)
        return done


def run(folder: Path) -> int:
    """Both parts of the demo; the exit code."""
    examples = folder / "examples" / "action"
    for needed in (folder / "shipyard.yaml", examples / "shipyard.yaml"):
        if not needed.exists():
            raise Permanent(f"{needed} is missing: run the demo in Firstmate's own repository")
    good = True
    with _stage(folder) as stage:
        click.echo("\n== A sequence runs its task ==")
        good &= _answered(stage, "botkube", "botkube-seq", "remote-task")
    with _stage(examples) as stage:
        click.echo("\n== A remediation action that is supported ==")
        data = ["action.action=toggle-feature,action.value=promotion"]
        good &= _answered(stage, "remediation-demo", "remediation", "action", data)
        click.echo("\n== A remediation action that nobody supports ==")
        good &= _silent(stage, ["action.action=reboot-the-moon"])
    click.echo(
        "\nAll chains are what they should be." if good else "\nThis is not as it should be."
    )
    return 0 if good else 1


def _answered(
    stage: Stage, project: str, sequence: str, task: str, data: list[str] | None = None
) -> bool:
    """Trigger, show the chain, and compare it with what it should be."""
    context = _trigger(project, sequence, data or [])
    ended = stage.wait("running", lambda: "sequence finished" in _show(stage, project, context))
    forwarded = stage.wait("forwarding", lambda: len(_notices(stage, context)) >= 2)  # noqa: PLR2004
    for notice in _notices(stage, context):
        click.echo(f"  forwarded    {notice['type']}  id {notice['id']}")
    expected = [one.format(task) for one in _ANSWERED] + ["sequence finished"]
    chain = _show(stage, project, context)
    passed = [one["data"].get("result") for one in _events(stage, project, context)][-2:]
    return ended and forwarded and chain == expected and passed == ["pass", "pass"]


def _silent(stage: Stage, data: list[str]) -> bool:
    """Trigger what is not ours: no event of ours, and a sequence that times out."""
    project = "remediation-demo"
    context = _trigger(project, "remediation", data)
    timeout = f"waiting for the start timeout of {START_TIMEOUT}"
    ended = stage.wait(timeout, lambda: "sequence finished" in _show(stage, project, context))
    states = stage.get(f"controlPlane/v1/sequence/{project}?keptnContext={context}")["states"]
    source = settings.load().source
    ours = [one for one in _events(stage, project, context) if one["source"] == source]
    click.echo(f"  sequence state: {states[0]['state']}; events of {source!r}: {len(ours)}")
    triggered = [one for one in _events(stage, project, context) if "triggeredid" not in one]
    event_id = triggered[-1]["id"]
    click.echo(f"  $ firstmate why {event_id}")
    explained = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "app", "why", event_id], capture_output=True, text=True, check=False
    ).stdout
    click.echo("    " + explained.strip().replace("\n", "\n    "))
    return ended and not ours and states[0]["state"] == "timedOut" and "no action" in explained


def _trigger(project: str, sequence: str, data: list[str]) -> str:
    scope = {"project": project, **_SCOPE}
    flags = " ".join(f"--{key} {value}" for key, value in scope.items())
    given = "".join(f" --data {one}" for one in data)
    click.echo(f"  $ firstmate trigger sequence {sequence} {flags}{given}")
    context = triggering.trigger(sequence, **scope, labels="", data=data)
    click.echo(f"  ID of Keptn context: {context}")
    return context


def _events(stage: Stage, project: str, context: str) -> list[dict[str, Any]]:
    query = f"project={project}&keptnContext={context}&pageSize=100"
    events: list[dict[str, Any]] = stage.get(f"mongodb-datastore/event?{query}")["events"]
    return events[::-1]


def _notices(stage: Stage, context: str) -> list[dict[str, Any]]:
    return [one for one in stage.receiver.notices if one.get("shkeptncontext") == context]


def _show(stage: Stage, project: str, context: str) -> list[str]:
    """Print what is new, and return the chain so far."""
    chain = []
    for event in _events(stage, project, context):
        name, kind = event["type"].split(".")[-2:]
        step = f"{name} {kind}" if len(event["type"].split(".")) == 5 else f"sequence {kind}"  # noqa: PLR2004
        chain.append(step)
        if kind == "finished":
            _show_output(stage, event.get("triggeredid", ""))
        if event["id"] not in stage.shown:
            stage.shown.add(event["id"])
            click.echo(f"  {event['time'][11:23]} {step:22} by {event['source']}{_result(event)}")
        if kind == "started":
            _show_output(stage, event["triggeredid"])
    return chain


def _show_output(stage: Stage, event_id: str) -> None:
    """The output of the tasks that an event started, as far as it is not shown yet."""
    with contextlib.closing(store.connect(stage.data / store.FILE_NAME, read_only=True)) as ledger:
        run = rows.run_of_event(ledger, event_id)
        tasks = rows.tasks(ledger, run.id) if run else []
    for task in tasks:
        lines = output(stage.data, task.key).text().splitlines(keepends=True)
        whole = [line for line in lines if line.endswith("\n")]
        for line in whole[stage.printed.get(task.key, 0) :]:
            click.echo(f"      log of {task.name!r} | {line.rstrip()}")
        stage.printed[task.key] = len(whole)


def _result(event: dict[str, Any]) -> str:
    data = event["data"]
    if not event["type"].endswith(".finished"):
        return ""
    message = " ".join(str(data.get("message", "")).split())
    return f": {data.get('status')} {data.get('result')}: {message}"


@contextlib.contextmanager
def _stage(folder: Path) -> Iterator[Stage]:
    """A service on this folder, with a data folder of its own, until the end of the block."""
    with tempfile.TemporaryDirectory(prefix="firstmate-demo-") as data:
        receiver = Receiver()
        os.environ.update(
            DATA_DIR=data,
            RUNNER="process",
            PORT="0",
            OPS_PORT="0",
            PLANE_PORT="0",
            FORWARD_URL=f"http://127.0.0.1:{receiver.server_port}",
            TASK_STARTED_WAIT_DURATION=START_TIMEOUT,
        )
        for name in ("KEPTN_API_ENDPOINT", "KEPTN_DISTRIBUTOR_URL", "EVENTBROKER"):
            os.environ.pop(name, None)
        command = [sys.executable, "-m", "app", "serve", str(folder)]
        stage = Stage(Path(data), receiver)
        with (stage.data / "service.log").open("w") as log:
            service = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603 - our own
        try:
            if not stage.wait("starting", lambda: _answers(stage)):
                said = (stage.data / "service.log").read_text()
                raise Permanent(f"the service did not start: {said}")
            yield stage
        finally:
            service.terminate()
            service.wait(PATIENCE)
            receiver.shutdown()
            receiver.server_close()


def _answers(stage: Stage) -> bool:
    if not guard.read_holder(stage.data).get("api"):
        return False
    with contextlib.suppress(FirstmateError):
        return bool(stage.get("v1/metadata"))
    return False
