"""The plane's front door: its settings, and the parts put together. Everything else is private."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import httpx
from fastapi import FastAPI

from app.clock import Clock
from app.plane.api import build
from app.plane.controller import Controller
from app.plane.delivery import Delivery
from app.plane.holdings import Holdings
from app.plane.projects import Projects
from app.plane.retention import Retention
from app.plane.routes import Routes
from app.plane.store import Store
from app.plane.uniform import Uniform
from app.plane.validation import Refused

DOOR_TIMEOUT = 5.0
"""Seconds that the door has for its answer; a distributor gives no more."""


@dataclass(frozen=True)
class PlaneSettings:
    """What the plane is told from outside.

    `folder` is the project folder that is served, `project` its name: empty for the shipyard's
    metadata.name. `data_dir` holds plane.db. Every route but /health and /openapi.json asks for
    `token`. Triggered task events go to `door_url`, with `door_token` as x-token if there is one.
    `start_timeout` is in seconds. Ended runs are kept for `keep_seconds`.
    """

    folder: Path
    project: str
    data_dir: Path
    token: str
    door_url: str
    door_token: str = ""
    start_timeout: float = 600.0
    keep_seconds: float = 7 * 86_400.0


class Plane:
    """A control plane over one folder; `project` is the resolved name, `app` the API to be served.

    Raises:
        Permanent: shipyard.yaml is missing or broken.
    """

    def __init__(self, settings: PlaneSettings, clock: Clock) -> None:
        self._store = Store(settings.data_dir / "plane.db")
        try:
            projects = Projects(
                settings.folder, settings.project, settings.data_dir, self._store, clock
            )
            self.project: str = projects.served
            self.sequences = projects.get(self.project).last_shipyard.names()
        except Refused:
            self._store.close()
            raise
        controller = Controller(projects, self._store, clock)
        structured = "application/cloudevents+json"
        headers = {"content-type": structured, "x-token": settings.door_token}
        door = httpx.AsyncClient(
            base_url=settings.door_url,
            headers=headers,
            timeout=DOOR_TIMEOUT,
            trust_env=False,
            verify=False,  # noqa: S501 - plain HTTP; to read the authorities takes its time
        )
        self._delivery = Delivery(door, controller, self._store, clock, settings.start_timeout)
        self._retention = Retention(self._store, clock, settings.keep_seconds)
        routes = Routes(controller, projects, self._store, clock)
        uniform = Uniform(self._store, clock)
        parts = routes.add_to, Holdings(projects).add_to, uniform.add_to
        self.app: FastAPI = build(parts, settings.token, clock)

    async def run(self) -> None:
        """Deliver events and keep the timers until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._retention.run())
            group.create_task(self._delivery.run())

    def close(self) -> None:
        """Let go of plane.db."""
        self._store.close()
