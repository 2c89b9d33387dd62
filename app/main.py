"""Puts everything together, and nothing else does: from settings to a running service."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvloop
from fastapi import FastAPI

from app import log, pruning, serving
from app import settings as reading
from app.clock import Clock
from app.couriers import Couriers
from app.doors import ops
from app.doors.nats import NatsDoor
from app.doors.observe import Observer
from app.doors.poll import Poll
from app.doors.push import Door
from app.engines.contract import Engine
from app.errors import Permanent
from app.events import build
from app.keptn.api import Endpoint, KeptnApi
from app.keptn.channel import KeptnChannel
from app.keptn.reconcile import Reconciler
from app.keptn.wanted import Wanted
from app.ledger import LedgerFull, guard, rows
from app.lifecycle import KEPTN
from app.outbound import Outbound
from app.plane.house import Plane, PlaneSettings
from app.river import River, broker_for, uniform_for
from app.routes import Routes, Terms
from app.senders import Sender
from app.settings import Settings, comma_list
from app.worker import Worker

DAY = 86400.0


class Service:
    """One running Firstmate: built by its constructor, alive in `run`."""

    def __init__(
        self,
        settings: Settings,
        *,
        folder: Path | None = None,
        project: str = "",
        clock: Clock | None = None,
        engine: Engine | None = None,
    ) -> None:
        reading.check(settings)
        self.settings, self._clock = settings, clock or Clock()
        self._to_keptn = Outbound(settings.keptn_ca_file, verify=settings.http_ssl_verify)
        self._outbound = Outbound()
        self._broker = broker_for(settings, self._clock)
        data = settings.data_dir
        try:
            data.mkdir(mode=0o700, parents=True, exist_ok=True)
            guard.require_local_disk(data)
            self._lock = guard.Lock(data)
        except OSError as error:
            raise Permanent(f"DATA_DIR {data} cannot be used: {error.strerror}") from None
        self._lock.take(build.timestamp(self._clock.now()))
        self.door = serving.bind(settings.door_host, settings.port, "the event door (PORT)")
        ops_host = settings.ops_host or ("0.0.0.0" if settings.in_cluster else "127.0.0.1")  # noqa: S104
        self.ops = serving.bind(ops_host, settings.ops_port, "the second port (OPS_PORT)")
        self.token_file = data / reading.TOKEN_FILE
        self.plane: Plane | None = None
        endpoint = endpoint_for(settings)
        if not settings.connected:
            self.plane, endpoint = self._build_plane(folder or Path(), project)
        self._api = KeptnApi(endpoint, self._to_keptn)
        self._build_river(engine)
        self._watch()
        self._stop = asyncio.Event()
        self.places = {
            "door": serving.url(self.door),
            "ops": serving.url(self.ops),
            "answers": endpoint.events,
            "api": endpoint.base if self.plane else "",
            "engine": self._river.engine.name,
        }
        """Where everything is, which the commands read from the lock's file."""
        self._lock.describe(self.places)

    @property
    def stopping(self) -> bool:
        """Whether the service was asked to end."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Ask the service to drain and end."""
        self._stop.set()

    async def run(self) -> None:
        """Serve until `stop`; then launch nothing more, give running work its time, and end."""
        listeners = [serving.Listener(app, bound) for app, bound in self._applications()]
        loops = [self._sender.run(), self._couriers.run(), self._poll.run()]
        ages = (self.settings.keep_runs_days * DAY, self.settings.keep_ids_days * DAY)
        loops.append(pruning.run(self._river.ledger, self._river.engine, self._clock, *ages))
        if self.settings.polls:
            loops.append(self._observer.run())
        if self._broker:
            loops.append(self._broker.run(self._nats.receive))
        loops.append(self.plane.run() if self.plane else self._uniform.run())
        servers = [asyncio.create_task(one.run_until_stopped()) for one in listeners]
        others = [asyncio.create_task(one) for one in (*loops, self._stop.wait())]
        self._worker.recover()
        done, _ = await asyncio.wait([*servers, *others], return_when=asyncio.FIRST_COMPLETED)
        self._stop.set()
        if self._broker:
            await self._broker.drain()
        await self._worker.drain(self.settings.drain_seconds)
        if self.settings.uniform_unregister:
            await self._uniform.leave()
        for listener in listeners:
            listener.should_exit = True
        await asyncio.gather(*servers, return_exceptions=True)
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._close()
        for task in done:
            task.result()

    def _build_river(self, engine: Engine | None) -> None:
        settings, api, broker = self.settings, self._api, self._broker
        routes = routes_for(settings, self._outbound)
        self._river = river = River(
            settings, self._clock, api, announce=routes.announce, engine=engine
        )
        core, slots = river.core, asyncio.Semaphore(settings.slots(river.engine.name))
        self._worker = worker = Worker(core, api, river.planner, river.runner, slots)
        channel = KeptnChannel(api, core, worker.refuse, broker.publish if broker else None)
        self._sender = Sender(channel, core)
        self._couriers = Couriers(routes.refreshed, core)
        polls, tasks = settings.polls, comma_list(settings.keptn_tasks)
        wanted = Wanted(api, core, tasks, polls=polls or bool(broker))
        reconciler = Reconciler(api, core, worker)
        self._poll = Poll(reconciler, wanted, core, polls=polls)
        self._nats = NatsDoor(core, worker.accept, reconciler.check, settings.max_event_bytes)
        if broker:
            broker.missed = self._poll.compare_all
        self._observer = Observer(api, core, wanted, worker.accept, self._poll.wake)
        self._uniform = uniform_for(settings, api, core)
        core.lifecycle.wake = self._wake

    def _wake(self) -> None:
        self._sender.wake()
        self._couriers.wake()
        if self.settings.polls:  # an answer of ours may let Keptn trigger the next task
            self._poll.wake()

    def _watch(self) -> None:
        """The figures that are read from the ledger when asked for."""
        reader, now = self._river.ledger.reader, self._clock.now

        def age(since: float | None) -> float:
            return max(0.0, now() - since) if since else 0.0

        gauge = self._river.core.metrics.gauge
        if broker := self._broker:
            gauge("nats_connected", "1: events come over NATS", lambda: broker.connected)
        gauge("running", "Runs that hold a slot", lambda: len(self._worker.running))
        gauge("open", "Runs that are not answered yet", lambda: len(self._worker.open))
        gauge("queue_age_seconds", "Wait of the longest", lambda: age(rows.oldest_waiting(reader)))
        owed = "Age of the oldest message to Keptn"
        gauge("outbox_age_seconds", owed, lambda: age(rows.oldest_letter(reader, KEPTN)))

    def _applications(self) -> list[tuple[FastAPI, Any]]:
        settings = self.settings
        door = Door(
            self._worker.accept,
            self._river.core.metrics,
            settings.door_token.get_secret_value(),
            loopback=reading.is_loopback(settings.door_host),
        )
        second = ops.create(self._river.core.metrics, self._obstacle, self._notes)
        served = [(door.app(settings.max_event_bytes), self.door), (second, self.ops)]
        return served + ([(self.plane.app, self._plane_socket)] if self.plane else [])

    async def _obstacle(self) -> str:
        """Why no event can be accepted now; empty when it can."""
        if self.stopping:
            return "stopping"
        now = self._clock.now()
        try:
            await self._river.lifecycle.mark("ready", now, urgent=False)
        except LedgerFull as error:
            return str(error)
        return ""

    def _notes(self) -> dict[str, str]:
        """What an operator should know of a service that works nevertheless."""
        tls = {} if self.settings.http_ssl_verify else {"tls": reading.UNVERIFIED}
        return tls | {f"uniform {name}": why for name, why in self._uniform.faults.items()}

    def _build_plane(self, folder: Path, project: str) -> tuple[Plane, Endpoint]:
        """Our own plane, and how answers go back to it."""
        settings, token = self.settings, serving.token(self.token_file)
        self._plane_socket = serving.bind("127.0.0.1", settings.plane_port, "the plane")
        plane = PlaneSettings(
            folder=folder,
            project=project,
            data_dir=settings.data_dir,
            token=token,
            door_url=serving.url(self.door),
            door_token=settings.door_token.get_secret_value(),
            start_timeout=settings.start_timeout,
            keep_seconds=settings.keep_runs_days * DAY,
        )
        base = f"{serving.url(self._plane_socket)}/api"
        endpoint = Endpoint(base, f"{base}/v1/event", final=True, token=lambda: token)
        return Plane(plane, self._clock), endpoint

    async def _close(self) -> None:
        await self._river.close()
        await self._outbound.close()
        await self._to_keptn.close()
        if self.plane:
            self.plane.close()
        self._lock.release()


def serve(settings: Settings, folder: Path, project: str, greet: Callable[[Service], None]) -> None:
    """Run a service in this process until it is told to stop; `greet` is called when it listens.

    Raises:
        Permanent: it cannot start; one line that says why.
    """
    log.configure(settings.log_format, settings.log_level)
    if not settings.http_ssl_verify:
        logging.getLogger(__name__).warning(reading.UNVERIFIED)

    async def main() -> None:
        service = Service(settings, folder=folder, project=project)
        _heed_signals(service)
        greet(service)
        await service.run()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


def _heed_signals(service: Service) -> None:
    """The first signal drains, the second ends at once; jobs stay with their supervisor."""

    def heed() -> None:
        if service.stopping:
            os._exit(130)
        print("draining; once more to end at once", file=sys.stderr)  # noqa: T201 - to the operator
        service.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, heed)


def endpoint_for(settings: Settings) -> Endpoint:
    """How the Keptn that is configured is reached: its API, else the distributor."""
    if settings.keptn_api_endpoint:
        base = settings.keptn_api_endpoint
        return Endpoint(base, f"{base}/v1/event", final=True, token=settings.api_token)
    base = settings.keptn_distributor_url
    return Endpoint(base, f"{base}/event", final=False)


def routes_for(settings: Settings, outbound: Outbound) -> Routes:
    """Who is told of what, by ROUTES_FILE and FORWARD_URL."""
    given = (settings.routes_file, settings.forward_url, settings.bridge_url)
    return Routes(Terms(*given, environ=os.environ), outbound)
