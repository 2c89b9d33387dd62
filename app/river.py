"""The parts through which an event becomes an answer, put together: from the ledger to the engine.

No listener, no sender and no loop is here; who drives the river decides when things flow.
"""

import asyncio
import logging
import os
from typing import Protocol

from app import masking
from app.clock import Clock
from app.core import Core
from app.engines.container import ContainerEngine, find_cli
from app.engines.contract import Engine
from app.engines.none import NoEngine
from app.engines.process import ProcessEngine
from app.errors import Permanent
from app.keptn.resources import Patient, Resources, Source
from app.ledger.store import Ledger
from app.lifecycle import Announce, Lifecycle
from app.metrics import Metrics
from app.planning import Keptn, Planner
from app.policy.in_force import Policy
from app.policy.rules import Terms
from app.results import Defaults
from app.running import Runner
from app.settings import Settings
from app.tasks.image import Supplies
from app.tasks.secrets import Secrets
from app.tracing import Tracer


class Captain(Keptn, Source, Protocol):
    """A Keptn as far as planning and running ask it."""


class River:
    """One data folder's ledger with all that works on it; needs a running loop."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        captain: Captain,
        *,
        announce: Announce = lambda _: (),
        engine: Engine | None = None,
    ) -> None:
        masks, policy = masking.read(settings.mask_patterns_file), policy_for(settings)
        self.ledger = Ledger(settings.data_dir)
        self.lifecycle = Lifecycle(self.ledger, clock, settings.source, announce)
        self.lifecycle.masks = masks
        self.metrics, self._tracer = Metrics(), tracer_for(settings)
        self.core = Core(
            self.ledger, self.lifecycle, clock, self.metrics, settings.source, self._tracer
        )
        self.engine = engine or engine_for(settings, clock)
        self.metrics.gauges("engine", "Where tasks run", "name", lambda: {self.engine.name: 1})
        resources = Resources(captain, clock, lambda how: self.metrics.reads.labels(how).inc())
        supplies = Supplies(Patient(resources, clock), Secrets(settings.secrets_path))
        defaults = Defaults(settings.on_failure, settings.logs, settings.task_deadline_seconds)
        self.runner = Runner(self.engine, self.core, supplies, defaults)
        self.metrics.gauge(
            "policy_fault", "1: an older POLICY_FILE is in force", lambda: bool(policy.fault)
        )
        self.planner = Planner(captain, resources, clock, settings.owned, policy)

    async def close(self) -> None:
        """Let go; what runs goes on."""
        await self.engine.close()
        await asyncio.to_thread(self._tracer.close)
        self.ledger.close()


def engine_for(settings: Settings, clock: Clock) -> Engine:
    """Where tasks run, by RUNNER; its state is in DATA_DIR.

    Raises:
        Permanent: the container engine that is asked for does not answer.
    """
    jobs, asked, cli = settings.data_dir / "jobs", settings.runner, settings.container_cli
    if settings.in_cluster and asked == "auto":
        return NoEngine()
    if asked != "process" and (found := find_cli(cli, os.environ)):
        return ContainerEngine(found, jobs, clock, privileged=settings.allow_privileged_jobs)
    if asked == "container" or (asked == "auto" and cli):
        raise Permanent(
            f"no container engine: {cli or 'neither docker nor podman'} answers `info` within 2 s;"
            " start it, name another one by CONTAINER_CLI, or set RUNNER=process"
        )
    return ProcessEngine(jobs, clock, os.environ)


def policy_for(settings: Settings) -> Policy:
    """What tasks may ask for, by POLICY_FILE and the variables of job-executor.

    Raises:
        Permanent: one of them cannot be used.
    """
    terms = Terms(
        settings.policy_file,
        settings.allowed_image_list,
        settings.allow_privileged_jobs,
        deadline=settings.task_deadline_seconds,
    )
    return Policy(terms)


def tracer_for(settings: Settings) -> Tracer:
    """Who is told of what was done, by OTEL_EXPORTER_OTLP_ENDPOINT."""
    if not settings.otel_exporter_otlp_endpoint:
        return Tracer()
    try:
        from app import spans  # noqa: PLC0415 - an extra, and slow to import
    except ImportError:
        logging.getLogger(__name__).warning("no traces: OTEL_EXPORTER_OTLP_ENDPOINT needs `[otel]`")
        return Tracer()
    return spans.exported(settings.source)
