"""The parts through which an event becomes an answer, put together: from the ledger to the engine.

No listener, no sender and no loop is here; who drives the river decides when things flow.
"""

import asyncio
import logging
import os
import socket
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from app import masking
from app.clock import Clock
from app.core import Core
from app.engines.container import PROBE_SECONDS, ContainerEngine, find_cli
from app.engines.contract import Engine
from app.engines.kubernetes.site import JobDefaults, Site, read_defaults
from app.engines.process import ProcessEngine
from app.errors import Permanent
from app.jobconfig import schema
from app.keptn.api import KeptnApi
from app.keptn.registration import Uniform
from app.keptn.resources import SHARED_SECONDS, Patient, Resources, Source
from app.ledger import Ledger
from app.lifecycle import Announce, Lifecycle
from app.metrics import Metrics
from app.planning import Keptn, Planner
from app.policy.in_force import Policy
from app.policy.rules import Terms
from app.results import Defaults
from app.running import Runner
from app.settings import Settings, comma_list
from app.tasks.image import Supplies
from app.tasks.secrets import Secrets
from app.tracing import Tracer

if TYPE_CHECKING:
    from app.engines.kubernetes.client import Cluster
    from app.keptn.nats import Broker


PATIENT_SECONDS = 30.0
"""How long a container engine that is asked for may take to answer; a start is a busy time."""


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
        policy, masks = policy_for(settings), masking.read(settings.mask_patterns_file)
        self.ledger, metrics, tracer = Ledger(settings.data_dir), Metrics(), tracer_for(settings)
        self.lifecycle = Lifecycle(self.ledger, clock, settings.source, announce, masks)
        self.core = Core(self.ledger, self.lifecycle, clock, metrics, settings.source, tracer)
        self.engine = engine or engine_for(settings, clock)
        metrics.gauges("engine", "Where tasks run", "name", lambda: {self.engine.name: 1})
        old_policy = "1: an older POLICY_FILE is in force"
        metrics.gauge("policy_fault", old_policy, lambda: bool(policy.fault))
        shared = SHARED_SECONDS if settings.connected else 0.0  # our own plane is asked at no cost
        resources = Resources(captain, clock, lambda how: metrics.reads.labels(how).inc(), shared)
        secrets = None if self.engine.has_secrets else Secrets(settings.secrets_path)
        supplies = Supplies(Patient(resources, clock), secrets)
        defaults = Defaults(settings.on_failure, settings.logs, settings.task_deadline_seconds)
        self.runner = Runner(self.engine, self.core, supplies, defaults)
        self.planner = Planner(captain, resources, clock, settings.owned, policy)

    async def close(self) -> None:
        """Let go; what runs goes on."""
        await self.engine.close()
        await asyncio.to_thread(self.core.tracer.close)
        self.ledger.close()


def engine_for(settings: Settings, clock: Clock) -> Engine:
    """Where tasks run, by RUNNER; its state is in DATA_DIR.

    Raises:
        Permanent: what is asked for does not answer, or is not installed.
    """
    jobs, asked, cli = settings.data_dir / "jobs", settings.runner, settings.container_cli
    if _uses_kubernetes(settings):
        return _on_kubernetes(settings, clock)
    needed = asked == "container" or (asked == "auto" and bool(cli))
    seconds = PATIENT_SECONDS if needed else PROBE_SECONDS
    if asked != "process" and (found := find_cli(cli, os.environ, seconds)):
        return ContainerEngine(found, jobs, clock)
    if needed:
        raise Permanent(
            f"no container engine: {cli or 'neither docker nor podman'} answers `info` within"
            f" {seconds:.0f} s; start it, name another by CONTAINER_CLI, or set RUNNER=process"
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
        service_account=settings.default_job_service_account,
        deadline=settings.task_deadline_seconds,
    )
    if _uses_kubernetes(settings):
        site = _site(settings)
        terms = replace(terms, namespaces=site.namespaces, resources=site.resources)
    return Policy(terms)


def _uses_kubernetes(settings: Settings) -> bool:
    asked = settings.runner
    return asked == "kubernetes" or (settings.in_cluster and asked == "auto")


def cluster_for(settings: Settings, clock: Clock) -> "tuple[Cluster, Site]":
    """Where Jobs are made, and what the operator decides for all of them.

    Raises:
        Permanent: no cluster is known, or a part of us or of the settings is missing.
    """
    try:
        from app.engines.kubernetes import client  # noqa: PLC0415 - slow to import
    except ImportError:
        raise Permanent("Kubernetes Jobs need the extra `k8s`: pip install '.[k8s]'") from None
    site = _site(settings)
    return client.Cluster(clock, *_access(settings)), site


def _on_kubernetes(settings: Settings, clock: Clock) -> Engine:
    cluster, site = cluster_for(settings, clock)
    from app.engines.kubernetes import engine  # noqa: PLC0415 - as above

    return engine.KubernetesEngine(cluster, clock, settings.data_dir / "jobs", site)


def _access(settings: Settings) -> tuple[str, Path | None, Path | None]:
    """The API's URL, else the cluster's own, and the CA and token files mounted in every pod."""
    if not (settings.kubernetes_api_url or settings.in_cluster):
        raise Permanent(
            "RUNNER=kubernetes needs a cluster: run `kubectl proxy` here, and set"
            " KUBERNETES_API_URL=http://127.0.0.1:8001"
        )
    host, port = settings.kubernetes_service_host, settings.kubernetes_service_port
    url = f"https://{f'[{host}]' if ':' in host else host}:{port}"
    mounted = [settings.service_account_path / name for name in ("ca.crt", "token")]
    ca_file, token_file = (file if file.is_file() else None for file in mounted)
    return settings.kubernetes_api_url or url, ca_file, token_file


def own_namespace(settings: Settings) -> str:
    """That of our pod; empty outside of a cluster."""
    mounted = settings.service_account_path / "namespace"
    return mounted.read_text().strip() if mounted.is_file() else ""


def _site(settings: Settings) -> Site:
    own = own_namespace(settings)
    namespaces = comma_list(settings.job_namespace) or (own or "default",)
    quantities = {
        "limits": {
            "cpu": settings.default_resource_limits_cpu,
            "memory": settings.default_resource_limits_memory,
        },
        "requests": {
            "cpu": settings.default_resource_requests_cpu,
            "memory": settings.default_resource_requests_memory,
        },
    }
    file = settings.job_defaults_file
    return Site(
        namespaces,
        settings.init_container_image,
        (own, settings.hostname),
        settings.full_deployment_name,
        settings.default_job_service_account,
        schema.Resources.model_validate(quantities),
        read_defaults(file) if file else JobDefaults(),
        settings.job_volume_size,
        {"trouble": settings.pod_trouble_seconds, "room": settings.pod_room_seconds},
    )


def uniform_for(settings: Settings, api: KeptnApi, core: Core) -> Uniform:
    """Our place at the Uniform of a real Keptn, which has log entries by the id that we get."""
    registers = settings.connected and not settings.keptn_distributor_url
    core.lifecycle.logs_errors = registers
    names = comma_list(settings.uniform_names) or (settings.full_deployment_name,)
    pod = {
        "podname": settings.hostname or socket.gethostname(),
        "namespace": own_namespace(settings) or "default",
        "deploymentname": settings.full_deployment_name,
    }
    return Uniform(api, core, names, comma_list(settings.keptn_tasks) or ("*",), pod, registers)


def broker_for(settings: Settings, clock: Clock) -> "Broker | None":
    """The connection to NATS, by EVENTBROKER; Permanent when what it needs is not installed."""
    servers = comma_list(settings.eventbroker.get_secret_value())
    if not servers:
        return None
    try:
        from app.keptn.nats import Broker  # noqa: PLC0415 - an extra
    except ImportError:
        raise Permanent("EVENTBROKER needs the extra `nats`: pip install '.[nats]'") from None
    return Broker(servers, settings.eventbroker_credentials_file, settings.source, clock)


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
