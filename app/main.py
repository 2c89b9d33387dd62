"""Puts everything together, and nothing else does: from settings to a running service."""

import asyncio
import functools
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

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
from app.events import build
from app.keptn.api import Endpoint, KeptnApi
from app.keptn.channel import KeptnChannel
from app.keptn.reconcile import Reconciler
from app.keptn.wanted import Wanted
from app.ledger import guard, rows
from app.ledger.store import LedgerFull
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
        self._to_keptn = Outbound(settings.keptn_ca_file, verify=settings.http_ssl_verify)
        self.settings = settings
        self._clock = clock = clock or Clock()
        self._broker = broker_for(settings, clock)
        data = settings.data_dir
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        guard.require_local_disk(data)
        self._lock = guard.Lock(data)
        self._lock.take(build.timestamp(clock.now()))
        self.door = serving.bind(settings.door_host, settings.port, "the event door")
        ops_host = settings.ops_host or ("0.0.0.0" if settings.in_cluster else "127.0.0.1")  # noqa: S104
        self.ops = serving.bind(ops_host, settings.ops_port, "the operations port")
        self._outbound = Outbound()
        self.plane = None if settings.connected else self._build_plane(folder or Path(), project)
        self._api = KeptnApi(self._endpoint(), self._to_keptn)
        self._build_river(engine)
        self._uniform = uniform_for(settings, self._api, self._river.core)
        self._stop = asyncio.Event()
        self._describe()

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
        servers = [_named(one.run_until_stopped(), "server") for one in listeners]
        tasks = [_named(one, "loop") for one in loops]
        self._worker.recover()
        stopped = _named(self._stop.wait(), "stop")
        done, _ = await asyncio.wait(
            [*servers, *tasks, stopped], return_when=asyncio.FIRST_COMPLETED
        )
        self._stop.set()
        if self._broker:
            await self._broker.drain()
        await self._worker.drain(self.settings.drain_seconds)
        if self.settings.uniform_unregister:
            await self._uniform.leave()
        for listener in listeners:
            listener.should_exit = True
        await asyncio.gather(*servers, return_exceptions=True)
        for task in [*tasks, stopped]:
            task.cancel()
        await asyncio.gather(*tasks, stopped, return_exceptions=True)
        await self._close()
        for task in done - {stopped}:
            task.result()

    def _build_river(self, engine: Engine | None) -> None:
        settings, clock = self.settings, self._clock
        routes = routes_for(settings, self._outbound)
        self._river = river = River(
            settings, clock, self._api, announce=routes.announce, engine=engine
        )
        slots = settings.slots(river.engine.name)
        self._worker = Worker(river.core, self._api, river.planner, river.runner, slots=slots)
        publish = self._broker.publish if self._broker else None
        channel = KeptnChannel(self._api, river.core, self._worker.refuse, publish)
        self._sender = Sender(channel, river.core)
        self._couriers = Couriers(routes.refreshed, river.core)
        self._look_out()
        river.lifecycle.wake = self._wake
        self._watch()

    def _look_out(self) -> None:
        """What Keptn is asked for by itself, whichever door the events come through."""
        polls, tasks = self.settings.polls, comma_list(self.settings.keptn_tasks)
        core, worker = self._river.core, self._worker
        wanted = Wanted(self._api, core, tasks, polls=polls or bool(self._broker))
        reconciler = Reconciler(self._api, core, worker)
        self._poll = Poll(reconciler, wanted, core, polls=polls)
        self._nats = NatsDoor(core, worker.accept, reconciler.check)
        if self._broker:
            self._broker.missed = self._poll.compare_all
        self._observer = Observer(self._api, core, wanted, worker.accept, self._poll.wake)

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

        gauge = self._river.metrics.gauge
        if broker := self._broker:
            gauge("nats_connected", "1: events come over NATS", lambda: broker.connected)
        gauge("running", "Runs that hold a slot", lambda: self._worker.running)
        gauge("open", "Runs that are not answered yet", lambda: self._worker.open)
        gauge("queue_age_seconds", "Wait of the longest", lambda: age(rows.oldest_waiting(reader)))
        owed = functools.partial(rows.oldest_letter, reader, KEPTN)
        gauge("outbox_age_seconds", "Age of the oldest message to Keptn", lambda: age(owed()))

    def _applications(self) -> list[tuple[FastAPI, Any]]:
        settings = self.settings
        door = Door(
            self._worker.accept,
            self._river.metrics,
            settings.door_token.get_secret_value(),
            loopback=reading.is_loopback(settings.door_host),
        )
        second = ops.create(self._river.metrics, self._obstacle, self._notes)
        served = [(door.app(settings.max_event_bytes), self.door), (second, self.ops)]
        return served + ([(self.plane.app, self._plane_socket)] if self.plane else [])

    async def _obstacle(self) -> str:
        """Why no event can be accepted now; empty when it can."""
        if self.stopping:
            return "stopping"
        try:
            await self._river.ledger.write(lambda _: None, urgent=False)
        except LedgerFull as error:
            return str(error)
        return ""

    def _notes(self) -> dict[str, str]:
        """What an operator should know of a service that works nevertheless."""
        tls = {} if self.settings.http_ssl_verify else {"tls": reading.UNVERIFIED}
        return tls | {f"uniform {name}": why for name, why in self._uniform.faults.items()}

    def _build_plane(self, folder: Path, project: str) -> Plane:
        settings = self.settings
        self._plane_socket = serving.bind("127.0.0.1", settings.plane_port, "the control plane")
        plane = PlaneSettings(
            folder=folder,
            project=project,
            data_dir=settings.data_dir,
            token=serving.token(settings.data_dir / reading.TOKEN_FILE),
            door_url=serving.url(self.door),
            door_token=settings.door_token.get_secret_value(),
            start_timeout=settings.start_timeout,
            keep_seconds=settings.keep_runs_days * DAY,
        )
        return Plane(plane, self._clock)

    def _endpoint(self) -> Endpoint:
        """How answers go back: to our own plane, if there is one."""
        settings = self.settings
        if self.plane:
            base = f"{serving.url(self._plane_socket)}/api"
            secret = serving.token(settings.data_dir / reading.TOKEN_FILE)
            return Endpoint(base, f"{base}/v1/event", final=True, token=lambda: secret)
        return endpoint_for(settings)

    def _describe(self) -> None:
        """Tell the commands, through the lock's file, where everything is."""
        self.places = {
            "door": serving.url(self.door),
            "ops": serving.url(self.ops),
            "answers": self._api.endpoint.events,
            "api": self._api.endpoint.base if self.plane else "",
            "engine": self._river.engine.name,
        }
        self.token_file = self.settings.data_dir / reading.TOKEN_FILE
        self._lock.describe(self.places)

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

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(main())


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - there is none for every Python
    except ImportError:
        return None
    return uvloop.new_event_loop


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


def _named(work: Coroutine[Any, Any, Any], name: str) -> "asyncio.Task[Any]":
    return asyncio.create_task(work, name=name)
