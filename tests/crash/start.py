"""Starts the real service, armed: here, and nowhere else, a boundary does something.

`serve` is the whole life of one process, which `service.py` forks from one that imported it all.
"""

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx

from app import boundaries, main, outbound, senders, settings
from app.clock import Clock
from app.engines import jobs
from tests.crash import killing
from tests.crash.killing import ORDER, Kill
from tests.engines import stand_in
from tests.notices.receiver import SECRET_PATH

IN_SUPERVISOR = ("forked", "child ended")
IN_CONTAINER_ENGINE = ("container created", "container started")
IN_CLUSTER = ("job made",)
ARMED_SUPERVISOR = "tests.crash.armed_supervisor"


def hurry() -> None:
    """Shorten the waits, keeping their order: a settle time is longer than Keptn's own delays."""
    senders.SETTLE_SECONDS = 1.0
    Clock.first_delay, Clock.longest_delay = 0.05, 1.0
    outbound.UNAUTHORIZED_SECONDS = 0.5


def arm(kill: Kill, data_dir: Path) -> None:
    """Let the service, its supervisor, its container engine or its cluster end it there."""
    if kill.at in IN_SUPERVISOR:
        jobs.PROGRAM = ARMED_SUPERVISOR
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        order = {"kill": asdict(kill), "service": os.getpid()}
        (data_dir / ORDER).write_text(json.dumps(order))
        return
    if kill.at in IN_CONTAINER_ENGINE:
        state = Path(os.environ["DOCKER_HOST"].removeprefix("unix://"))
        (state / stand_in.ORDER).write_text(json.dumps({**asdict(kill), "service": os.getpid()}))
        return
    if kill.at in IN_CLUSTER:
        order = {"pid": os.getpid(), "nth": kill.nth}
        httpx.post(f"{os.environ['CLUSTER_CONTROL']}/kill", json=order, trust_env=False)
        return

    def die() -> None:
        if kill.children:
            killing.kill_children(data_dir)
        killing.kill(os.getpid())

    trigger = kill.trigger(die)
    boundaries.reached = lambda name: trigger(name, _who())


def _who() -> str:
    """The asyncio task's name, in which senders say what kind of letter they carry."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return ""
    return task.get_name() if task else ""


def watch_sending(service: main.Service) -> None:
    """Have `sent` reached when a message to Keptn is on the wire and no reply was read yet."""

    async def traced(step: str, _: object) -> None:
        if step == "http11.send_request_body.complete":
            boundaries.reached("sent")

    async def watched(request: httpx.Request) -> None:
        if request.method == "POST" and request.url.path != SECRET_PATH:
            request.extensions["trace"] = traced

    service._to_keptn._client.keywords["event_hooks"] = {"request": [watched]}


def watch_publishing() -> None:
    """The same for a stream: the server surely has the message, and no reply was looked at yet."""
    from nats.aio.client import Client  # noqa: PLC0415 - only where a round needs it
    from nats.errors import Error  # noqa: PLC0415

    from app.keptn import nats  # noqa: PLC0415

    nats.ACK_SECONDS, request = 1.0, Client.request

    async def watched(self: Client, subject: str, *given: Any, **named: Any) -> Any:
        replied = asyncio.ensure_future(request(self, subject, *given, **named))
        if subject.startswith("sh.keptn.event."):
            with suppress(Error):
                for _ in range(2):  # the first ping overtakes what is on its way
                    await self.flush()
            boundaries.reached("sent")
        return await replied

    setattr(Client, "request", watched)  # noqa: B010 - a method, which mypy would not have replaced


def serve(environment: Mapping[str, str], folder: Path, listening: Connection) -> None:
    """Be the service of a folder, armed with the order in CRASH, and say when it listens."""
    os.environ.clear()
    os.environ.update(environment)
    with (folder / "service.log").open("ab") as log:
        os.dup2(log.fileno(), sys.stdout.fileno())
        os.dup2(log.fileno(), sys.stderr.fileno())
    hurry()
    if "EVENTBROKER" in environment:
        watch_publishing()
    chosen = settings.load()
    if order := environment.get("CRASH"):
        arm(Kill(**json.loads(order)), chosen.data_dir)

    def greet(service: main.Service) -> None:
        watch_sending(service)
        listening.send(True)

    main.serve(chosen, folder, "", greet)
