"""`make demo`: a real service on a temporary data folder, watched from outside.

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
from app.cli import reading, remote, triggering
from app.clock import Clock
from app.errors import FirstmateError, Permanent
from app.ledger import rows, store

PATIENCE = 30.0
"""Seconds after which a chain that does not end has failed."""

START_TIMEOUT = "3s"
_TICK = 0.05
ROOT = Path(__file__).parents[1]
_SCOPE = {"stage": "production", "service": "hello"}


class _Notices(BaseHTTPRequestHandler):
    """Somebody who is forwarded what Keptn is sent."""

    received: list[dict[str, Any]] = []  # noqa: RUF012 - one receiver for the whole demo

    def do_POST(self) -> None:
        self.received.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@dataclass
class Watch:
    """One project that is watched: its service's data folder, and what was shown so far."""

    data: Path
    project: str
    clock: Clock = field(default_factory=Clock)
    shown: set[str] = field(default_factory=set)
    printed: dict[str, int] = field(default_factory=dict)

    def trigger(self, sequence: str, *data: str) -> str:
        """Do what the command does, and show it; the new run's context."""
        scope = {"project": self.project, **_SCOPE}
        flags = "".join(f" --{key} {value}" for key, value in scope.items())
        flags += "".join(f" --data {one}" for one in data)
        click.echo(f"  $ firstmate trigger sequence {sequence}{flags}")
        with remote.asking() as keptn:
            given = triggering.unfold(data)
            context = triggering.trigger(keptn, given, name=sequence, labels="", **scope)
        click.echo(f"  ID of Keptn context: {context}")
        return context

    def events(self, context: str) -> list[dict[str, Any]]:
        """The run's events as the API has them, oldest first."""
        query = {"project": self.project, "keptnContext": context, "pageSize": "100"}
        return list(reversed(_get("mongodb-datastore/event", **query)["events"]))

    def wait(self, what: str, is_so: Callable[[], bool]) -> bool:
        """Until it is so; on a terminal, with the seconds in place."""
        begun, in_place = self.clock.tick(), sys.stdout.isatty()
        while not (done := is_so()) and (passed := self.clock.tick() - begun) < PATIENCE:
            if in_place:
                click.echo(f"\r  ... {what}, {passed:.0f} s ", nl=False)
            self.clock.pause(_TICK)
        if in_place:
            click.echo("\r\x1b[K", nl=False)
        return done

    def show(self, context: str) -> list[str]:
        """Print what is new, and return the chain so far."""
        chain = []
        for event in self.events(context):
            *stage, name, kind = event["type"].removeprefix("sh.keptn.event.").split(".")
            chain.append(f"{'sequence' if stage else name} {kind}")
            if kind == "finished":
                self._show_output(event["triggeredid"])
            if event["id"] not in self.shown:
                self.shown.add(event["id"])
                told = f"{chain[-1]:22} by {event['source']}{_result(event)}"
                click.echo(f"  {event['time'][11:23]} {told}")
            if kind == "started":
                self._show_output(event["triggeredid"])
        return chain

    def _show_output(self, event_id: str) -> None:
        """The output of the tasks that an event started, as far as it is not shown yet."""
        ledger = store.connect(self.data / store.FILE_NAME, read_only=True)
        with contextlib.closing(ledger):
            run = rows.run_of_event(ledger, event_id)
            tasks = rows.tasks(ledger, run.id) if run else []
        for task in tasks:
            text = reading.output(self.data, task.key).text().rpartition("\n")[0]
            lines = text.split("\n") if text else []
            for line in lines[self.printed.get(task.key, 0) :]:
                click.echo(f"      log of {task.name!r} | {line}")
            self.printed[task.key] = len(lines)


def run() -> int:
    """Both parts of the demo; the exit code."""
    with _watch(ROOT, "botkube") as watch:
        click.echo("\n== A sequence runs its task ==")
        good = _answered(watch, "remote-task", watch.trigger("botkube-seq"))
    with _watch(ROOT / "examples" / "action", "remediation-demo") as watch:
        click.echo("\n== A remediation action that is supported ==")
        data = "action.action=toggle-feature,action.value=promotion"
        good &= _answered(watch, "action", watch.trigger("remediation", data))
        click.echo("\n== A remediation action that nobody supports ==")
        good &= _silent(watch, watch.trigger("remediation", "action.action=reboot-the-moon"))
    verdict = "All chains are what they should be." if good else "This is not as it should be."
    click.echo(f"\n{verdict}")
    return 0 if good else 1


def _answered(watch: Watch, task: str, context: str) -> bool:
    """Show the chain, and compare it with what it should be."""

    def notices() -> list[dict[str, Any]]:
        return [one for one in _Notices.received if one["shkeptncontext"] == context]

    ended = watch.wait("running", lambda: "sequence finished" in watch.show(context))
    forwarded = watch.wait("forwarding", lambda: len(notices()) >= 2)  # noqa: PLR2004
    for notice in notices():
        click.echo(f"  forwarded    {notice['type']}  id {notice['id']}")
    steps = ["sequence triggered", f"{task} triggered", f"{task} started", f"{task} finished"]
    results = [one["data"].get("result") for one in watch.events(context)]
    chain_is_right = watch.show(context) == [*steps, "sequence finished"]
    return ended and forwarded and chain_is_right and results[-2:] == ["pass", "pass"]


def _silent(watch: Watch, context: str) -> bool:
    """What is not ours: no event of ours, a sequence that times out, and the reason."""
    timeout = f"waiting for the start timeout of {START_TIMEOUT}"
    ended = watch.wait(timeout, lambda: "sequence finished" in watch.show(context))
    path = f"controlPlane/v1/sequence/{watch.project}"
    states = _get(path, keptnContext=context)["states"]
    source, events = settings.load().source, watch.events(context)
    ours = [one for one in events if one["source"] == source]
    click.echo(f"  sequence state: {states[0]['state']}; events of {source!r}: {len(ours)}")
    event_id = next(one["id"] for one in events if one["type"].endswith(".action.triggered"))
    click.echo(f"  $ firstmate why {event_id}")
    reason = reading.why(event_id, as_json=False)
    click.echo("    " + reason.replace("\n", "\n    "))
    return ended and not ours and states[0]["state"] == "timedOut" and "no action" in reason


def _get(path: str, **query: str) -> dict[str, Any]:
    with remote.asking() as keptn:
        return keptn.ask("GET", path, **query)


def _result(event: dict[str, Any]) -> str:
    data = event["data"]
    if not event["type"].endswith(".finished"):
        return ""
    return f": {data['status']} {data['result']}: {' '.join(data['message'].split())}"


@contextlib.contextmanager
def _watch(folder: Path, project: str) -> Iterator[Watch]:
    """A service on this folder, with a data folder of its own, until the end of the block."""
    receiver = HTTPServer(("127.0.0.1", 0), _Notices)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="firstmate-demo-") as data, receiver:
        for name in ("KEPTN_API_ENDPOINT", "KEPTN_DISTRIBUTOR_URL", "EVENTBROKER"):
            os.environ.pop(name, None)
        os.environ |= dict.fromkeys(("PORT", "OPS_PORT", "PLANE_PORT"), "0")
        os.environ |= {"DATA_DIR": data, "RUNNER": "process"}
        os.environ |= {"TASK_STARTED_WAIT_DURATION": START_TIMEOUT}
        os.environ |= {"FORWARD_URL": f"http://127.0.0.1:{receiver.server_port}"}
        command = [sys.executable, "-m", "app", "serve", str(folder)]
        log = Path(data, "service.log")
        with log.open("w") as file:
            service = subprocess.Popen(command, stdout=file, stderr=file)  # noqa: S603 - our own
        try:
            watch = Watch(Path(data), project)
            if not watch.wait("starting", _answers):
                raise Permanent(f"the service did not start: {log.read_text()}")
            yield watch
        finally:
            service.terminate()
            service.wait(PATIENCE)
            receiver.shutdown()


def _answers() -> bool:
    with contextlib.suppress(FirstmateError, OSError):
        return bool(_get("v1/metadata"))
    return False


if __name__ == "__main__":
    try:
        sys.exit(run())
    except FirstmateError as error:
        sys.exit(f"demo: {error}")
