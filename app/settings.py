"""The environment, read once into a frozen object; main hands its values on, nobody else reads it.

Every field is documented where it stands; `docs/settings.md` is made from this file.
"""

import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.errors import Permanent
from app.events import durations
from app.jobconfig.schema import Logs, OnFailure
from app.outbound import NotSent

TOKEN_FILE = "plane.token"  # noqa: S105 - a file's name
"""The embedded plane's token, in DATA_DIR."""

UNVERIFIED = "anybody may pose as Keptn: HTTP_SSL_VERIFY is false; KEPTN_CA_FILE can name its CA"


def _like(pattern: str, example: str) -> AfterValidator:
    """Takes nothing, or what begins as the pattern says."""

    def check(value: str | SecretStr) -> str | SecretStr:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if text and not re.match(pattern, text):
            raise ValueError(f"must be a {example}")
        return value

    return AfterValidator(check)


def _at_home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ValueError(str(error)) from None


Url = Annotated[
    str,
    _like(r"https?://[^/\s]+", "URL such as http://host:port/path"),
    AfterValidator(lambda url: url.rstrip("/")),
]
Brokers = Annotated[
    SecretStr, _like(r"[\s,]*((nats|tls)://[^/\s,]+([\s,]+|$))+$", "URL such as nats://host:4222")
]
Duration = Annotated[
    str, _like(r"(?=.*[1-9])(\d+(\.\d+)?(h|ms|m|s))+$", "duration such as 10m, 90s or 1h30m")
]


class Settings(BaseSettings):
    """What the operator decides."""

    model_config = SettingsConfigDict(
        frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True, env_ignore_empty=True
    )

    port: int = Field(8080, ge=0, le=65535)
    """Port of the event door: POST / takes events, GET /health answers. 0 takes a free one."""
    door_host: str = "127.0.0.1"
    """Address of the event door. Any other than loopback needs DOOR_TOKEN."""
    door_token: SecretStr = SecretStr("")
    """Token that senders of events must show, as `x-token` or as bearer. Empty: none asked for."""
    ops_port: int = Field(9090, ge=0, le=65535)
    """Port of /health, /ready and /metrics. 0 takes a free one."""
    ops_host: str = ""
    """Address of the second port. Empty: all addresses in a cluster, else loopback."""
    plane_port: int = Field(8088, ge=0, le=65535)
    """Port of the embedded control plane, on loopback. 0 takes a free one, which is printed."""
    data_dir: Annotated[Path, AfterValidator(_at_home)] = Path("~/.local/share/firstmate")
    """Folder of all state. The commands read it too. One service a folder, on a local disk."""
    keptn_distributor_url: Url = ""
    """Base URL of a Keptn distributor (`http://localhost:8081`): answers, look-ups, resources."""
    keptn_api_endpoint: Url = ""
    """URL of a Keptn API, ending in `/api`. With both URLs set, the API sends and looks up."""
    keptn_api_token: SecretStr = SecretStr("")
    """Token for KEPTN_API_ENDPOINT."""
    keptn_api_token_file: Path | None = None
    """File with that token; read again for each request, so that it can be replaced."""
    keptn_ca_file: Path | None = None
    """File of certificates to trust at Keptn beside those of this machine (or SSL_CERT_FILE)."""
    http_ssl_verify: bool = True
    """Whether Keptn's certificates are checked. `false` lets anybody read the token and answer in
    Keptn's name; it is said at each start, and by /ready."""
    uniform_names: str = ""
    """Names at Keptn's Uniform, comma-separated; log entries are filed under the first one. Empty:
    FULL_DEPLOYMENT_NAME. With KEPTN_DISTRIBUTOR_URL the distributor registers itself, not we."""
    uniform_unregister: bool = False
    """Whether to leave Keptn's Uniform when the service ends, as before it is removed."""
    eventbroker: Brokers = SecretStr("")
    """URL of Keptn's NATS (`nats://keptn-nats`), or several, comma-separated: events come from
    there, and answers go into its stream. Needs the extra `nats`, and one of the two URLs above."""
    eventbroker_credentials_file: Path | None = None
    """File of NATS credentials (`.creds`) for EVENTBROKER."""
    keptn_poll: bool | None = None
    """Whether events are fetched by asking Keptn again and again. Default: only with
    KEPTN_API_ENDPOINT, and neither KEPTN_DISTRIBUTOR_URL nor EVENTBROKER."""
    keptn_tasks: str = ""
    """Tasks, comma-separated, whose events are fetched. Empty: those of all projects' shipyards,
    read again every five minutes, and those that came before."""
    runner: Literal["auto", "kubernetes", "container", "process"] = "auto"
    """Where tasks run. `auto`: as Kubernetes Jobs in a cluster; elsewhere in containers if docker
    or podman answers, else as processes."""
    container_cli: str = ""
    """The docker or podman to use, by name or path. Empty: the first one that answers."""
    allow_privileged_jobs: bool = False
    """Whether a job may have `privileged: true` in its securityContext."""
    allowed_image_list: str = ""
    """Patterns of the images that tasks may use, comma-separated. Empty: all images."""
    policy_file: Path | None = None
    """File that says what tasks may ask for (`policy.yaml`); read again when it changes."""
    max_running: int = Field(0, ge=0)
    """How many runs may work at the same time. 0: 500 with Kubernetes, 16 with containers, else the
    larger of 8 and 4 for each core."""
    job_namespace: str = ""
    """Namespaces in which tasks may run as Jobs, comma-separated; the first one is for those that
    name none. Empty: that of our pod."""
    init_container_image: str = ""
    """Our own image, which brings a task's files to its pod. Empty: that of our pod."""
    default_job_service_account: str = ""
    """Service account of a Job whose task names none. Empty: `default`. It gets no token."""
    default_resource_limits_cpu: str = "1"
    """What a Job may take when its task has no `resources`, as a Kubernetes quantity."""
    default_resource_limits_memory: str = "512Mi"
    """The same for memory."""
    default_resource_requests_cpu: str = "50m"
    """What is kept free for a Job when its task has no `resources`."""
    default_resource_requests_memory: str = "128Mi"
    """The same for memory."""
    job_defaults_file: Path | None = None
    """YAML file with `labels`, `jobSecurityContext` and `podSecurityContext` for all Jobs, as in
    `jobConfig` of job-executor's Helm values."""
    job_volume_size: str = "20Mi"
    """Size of the volume at /keptn of a Job, as a Kubernetes quantity."""
    pod_trouble_seconds: float = Field(15.0, ge=0)
    """Seconds that a pod may be unable to start, as without its image, until its task is ended."""
    pod_room_seconds: float = Field(180.0, ge=0)
    """Seconds that a pod may wait for a node or a quota with room for it."""
    full_deployment_name: str = "firstmate"
    """Name of this installation on its Jobs (`app.kubernetes.io/managed-by`); unique in a
    namespace."""
    owned_tasks: str = ""
    """Tasks, comma-separated or `*`, whose broken job config is answered as errored at once."""
    secrets_path: Path | None = None
    """Secrets for jobs: a folder as Kubernetes mounts them (`SECRET/KEY`), or one YAML file."""
    on_failure: OnFailure = "errored"
    """What a job's exit code other than 0 comes to: errored, fail, warning or continue."""
    logs: Logs = "always"
    """Whether a job's output stands in the answer: always, onFailure or never."""
    task_deadline_seconds: int = Field(0, ge=0)
    """Seconds for a whole task, with all attempts and the pauses between. 0: no such limit."""
    mask_patterns_file: Path | None = None
    """File of RE2 patterns, one a line; what they match leaves as `***`, `#` begins a comment."""
    source: str = Field("firstmate", min_length=1)
    """The `source` of our events; unique for each installation at one Keptn."""
    drain_seconds: float = Field(20.0, ge=0)
    """Seconds that running work gets to end when the service is asked to stop."""
    max_event_bytes: int = Field(2 * 1024 * 1024, ge=1024)
    """Largest event that is taken, pushed or over NATS, in bytes."""
    forward_url: Url = ""
    """URL that gets a copy of every event that Keptn was sent. Empty: nobody."""
    routes_file: Path | None = None
    """File that says which events are told to whom (`routes.yaml`); read again when it changes."""
    bridge_url: Url = ""
    """URL of Keptn's Bridge, for links in messages to people. Empty: no links."""
    task_started_wait_duration: Duration = "10m"
    """How long the embedded plane waits for a task's first response, such as `10m` or `90s`."""
    keep_runs_days: float = Field(7.0, gt=0)
    """Days after which an ended run and its output are forgotten."""
    keep_ids_days: float = Field(35.0, ge=30)
    """Days after which an event id is forgotten, so that it would be taken for new."""
    log_format: Literal["text", "json"] = "text"
    """Form of the service's log lines."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """The least level that is logged."""
    otel_exporter_otlp_endpoint: str = ""
    """URL of an OpenTelemetry collector (OTLP over HTTP) for traces; needs the extra `otel`."""
    kubernetes_service_host: str = ""
    """Set by Kubernetes in every pod; tells us that we run in a cluster."""
    kubernetes_service_port: int = 443
    """Set by Kubernetes in every pod."""
    kubernetes_api_url: Url = ""
    """URL of the Kubernetes API, such as that of `kubectl proxy`. Empty: the cluster we run in."""
    service_account_path: Path = Path("/var/run/secrets/kubernetes.io/serviceaccount")
    """Folder with `token`, `ca.crt` and `namespace` of our service account."""
    hostname: str = ""
    """Set by Kubernetes in every pod: its name."""

    @property
    def in_cluster(self) -> bool:
        """Whether this is a pod."""
        return bool(self.kubernetes_service_host)

    @property
    def connected(self) -> bool:
        """Whether a real Keptn is configured, so that no plane of our own starts."""
        return bool(self.keptn_distributor_url or self.keptn_api_endpoint or self.eventbroker)

    @property
    def polls(self) -> bool:
        """KEPTN_POLL, or what it is by default."""
        if self.keptn_poll is not None:
            return self.keptn_poll
        pushed = self.keptn_distributor_url or self.eventbroker
        return bool(self.keptn_api_endpoint and not pushed)

    def slots(self, engine: str) -> int:
        """How many runs may work at the same time on this engine."""
        usual = {"kubernetes": 500, "container": 16}
        return self.max_running or usual.get(engine) or max(8, 4 * (os.cpu_count() or 1))

    @property
    def start_timeout(self) -> float:
        """TASK_STARTED_WAIT_DURATION in seconds."""
        return durations.seconds(self.task_started_wait_duration) or 0.0

    @property
    def owned(self) -> frozenset[str]:
        """OWNED_TASKS as a set."""
        return frozenset(comma_list(self.owned_tasks))

    def api_token(self) -> str:
        """The token for Keptn's API as it is now; NotSent names one that cannot be used."""
        file, token = self.keptn_api_token_file, self.keptn_api_token.get_secret_value()
        try:
            token = file.read_text("ascii").strip() if file else token
        except (OSError, ValueError) as error:
            what = f"KEPTN_API_TOKEN_FILE {file} cannot be read: {type(error).__name__}"
            raise NotSent(what) from None
        if not (token.isascii() and token.isprintable()):
            raise NotSent(f"KEPTN_API_TOKEN{f'_FILE {file}' if file else ''} is no token: one line")
        return token


def comma_list(text: str) -> tuple[str, ...]:
    """The parts of a comma-separated text, without blanks."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def load(**given: object) -> Settings:
    """The settings of this process; `given` values come before the environment.

    Raises:
        Permanent: one line that names each wrong variable.
    """
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, one['loc'])).upper()}: {one['msg'].removeprefix('Value error, ')}"
            for one in error.errors(include_url=False, include_input=False)
        ]
        raise Permanent("wrong settings: " + "; ".join(faults)) from None


def check(settings: Settings) -> None:
    """What only makes sense together.

    Raises:
        Permanent: naming the variable and the remedy.
    """
    if settings.eventbroker and not (settings.keptn_distributor_url or settings.keptn_api_endpoint):
        raise Permanent(
            "EVENTBROKER brings events only, no job config: set KEPTN_API_ENDPOINT (in Keptn's"
            " namespace http://api-gateway-nginx/api) or KEPTN_DISTRIBUTOR_URL too"
        )
    if settings.in_cluster and not settings.connected:
        raise Permanent(
            "in a cluster Firstmate serves a Keptn: set KEPTN_DISTRIBUTOR_URL or KEPTN_API_ENDPOINT"
        )
    try:
        token = settings.api_token()
    except NotSent as error:
        raise Permanent(str(error)) from None
    if settings.keptn_api_endpoint and not token:
        tokens = "KEPTN_API_TOKEN or KEPTN_API_TOKEN_FILE"
        raise Permanent(f"KEPTN_API_ENDPOINT needs a token: set {tokens}")
    if settings.secrets_path and not settings.secrets_path.exists():
        raise Permanent(f"SECRETS_PATH {settings.secrets_path} is not there")
    if not is_loopback(settings.door_host) and not settings.door_token.get_secret_value():
        raise Permanent(
            f"DOOR_HOST {settings.door_host} is open to others: set DOOR_TOKEN, or use 127.0.0.1"
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
