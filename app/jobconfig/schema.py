"""What a jobconfig may say, as frozen values: job-executor's keys, and ours.

The one model inside, whatever the file's format; how older formats become it stands in read.py.
"""

from collections.abc import Callable
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from app.document.typed import AS_TEXT, AS_WHOLE, Anything, Flag, Int32, Int64, Part, Text
from app.jobconfig.patterns import compiled

V1, V2, OURS = "v1", "v2", "firstmate/v1"
VERSIONS = ("", V1, V2, OURS)
"""Each apiVersion, oldest first: job-executor up to 0.1.1, then 0.1.2, then 0.1.3 and later."""

_UPGRADED = {
    "": "without apiVersion: unknown keys are ignored, a `cmd` of one text is split at its spaces",
    V1: "apiVersion v1: each `cmd` is one text, split at its spaces",
}


class Since(NamedTuple):
    """The first apiVersion that knows a key; a field without one is in all of them."""

    version: str


def proven(check: Callable[[str], object]) -> AfterValidator:
    """Refuses a text of which the check raises ValueError, and else leaves it as it is written."""

    def checked(text: str) -> str:
        check(text)
        return text

    return AfterValidator(checked)


class JsonPath(Part):
    """A condition on the event; an empty property is none."""

    property: Text = ""
    match: Text = ""


class EventFilter(Part):
    """One entry of `events`: a regular expression found anywhere in the type, and a condition."""

    name: Annotated[Text, proven(compiled)] = ""
    jsonpath: JsonPath = JsonPath()


class Env(Part):
    """One entry of `env`; `valueFrom` is string, event (`value` is a path then) or secret."""

    name: Text = ""
    value: Text = ""
    value_from: Text = ""
    as_: Annotated[Text, Since(V2)] = Field(default="", alias="as")


class Quantities(Part):
    """Kubernetes quantities such as 50m and 128Mi."""

    cpu: Text = ""
    memory: Text = ""


class Resources(Part):
    """What a task may take and what it asks for; present but empty, it drops all defaults."""

    limits: Quantities = Quantities()
    requests: Quantities = Quantities()


class Capabilities(Part):
    """Linux capabilities."""

    add: tuple[Text, ...] = ()
    drop: tuple[Text, ...] = ()


class SeccompProfile(Part):
    """Which system calls are allowed."""

    type: Text | None = None
    localhost_profile: Text | None = None


class SecurityContext(Part):
    """Kubernetes' security context of a container; null leaves a field to the service's default."""

    capabilities: Capabilities | None = None
    privileged: Flag | None = None
    run_as_user: Int64 | None = None
    run_as_group: Int64 | None = None
    run_as_non_root: Flag | None = None
    read_only_root_filesystem: Flag | None = None
    allow_privilege_escalation: Flag | None = None
    proc_mount: Text | None = None
    seccomp_profile: SeccompProfile | None = None


class Toleration(Part):
    """A taint of nodes that does not keep the pod away; as in Kubernetes."""

    key: Text | None = None
    operator: Text | None = None
    value: Text | None = None
    effect: Text | None = None
    toleration_seconds: Int64 | None = None


class EmptyDir(Part):
    """An empty folder that lives as long as the pod."""

    medium: Text | None = None
    size_limit: Text | None = None


class SecretVolume(Part):
    """The keys of a Secret, a file each."""

    secret_name: Text = ""


class ConfigMapVolume(Part):
    """The keys of a ConfigMap, a file each."""

    name: Text = ""


class ClaimedVolume(Part):
    """A volume that a PersistentVolumeClaim has."""

    claim_name: Text = ""


class Volume(Part):
    """Something mounted at `mountPath`: one of the other keys says what."""

    mount_path: Text = ""
    read_only: Flag = False
    empty_dir: EmptyDir | None = None
    secret: SecretVolume | None = None
    config_map: ConfigMapVolume | None = None
    persistent_volume_claim: ClaimedVolume | None = None

    @property
    def source(self) -> dict[str, dict[str, str]]:
        """What is mounted, as Kubernetes has it."""
        place = {"mount_path", "read_only"}
        return self.model_dump(by_alias=True, exclude=place, exclude_none=True)

    @model_validator(mode="after")
    def _is_one_thing_at_a_path(self) -> "Volume":
        if not self.mount_path.startswith("/") or len(self.source) != 1:
            sources = "emptyDir, secret, configMap and persistentVolumeClaim"
            raise ValueError(f"a volume needs an absolute mountPath and one of {sources}")
        return self


class Pod(Part):
    """What only firstmate/v1 can ask of a pod, as Kubernetes has it."""

    labels: dict[str, Text] = Field(default_factory=dict)
    annotations: dict[str, Text] = Field(default_factory=dict)
    image_pull_secrets: tuple[Text, ...] = ()
    node_selector: dict[str, Text] = Field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()
    affinity: dict[str, Anything] = Field(default_factory=dict)
    volumes: tuple[Volume, ...] = ()


OnFailure = Annotated[Literal["errored", "fail", "warning", "continue"], AS_TEXT]
Logs = Annotated[Literal["always", "onFailure", "never"], AS_TEXT]
Seconds = Annotated[int, Field(strict=True, ge=1, le=2**31 - 1), AS_WHOLE]


class Task(Part):
    """One job: what is launched for an event."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    name: Text = ""
    files: tuple[Text, ...] = ()
    """Files or folders of the event's service, to stand below /keptn."""
    image: Text = ""
    """The container image."""
    image_pull_policy: Annotated[Text, Since(V2)] = ""
    """Kubernetes' Always, IfNotPresent or Never."""
    cmd: tuple[Text, ...] = ()
    """The command; without one, the image's entrypoint runs."""
    args: Annotated[tuple[Text, ...], Since(V2)] = ()
    """The command's arguments."""
    env: tuple[Env, ...] = ()
    resources: Resources | None = None
    working_dir: Annotated[Text, Since(V2)] = ""
    """The folder that the command starts in; without one, the image's."""
    max_poll_duration: Annotated[Int64 | None, Since(V2)] = None
    """Seconds that one attempt may take: null asks for the default of 300, 0 leaves no time."""
    namespace: Annotated[Text, Since(V2)] = ""
    """The Kubernetes namespace of the job."""
    ttl_seconds_after_finished: Annotated[Int32 | None, Since(V2)] = None
    """Seconds that the job is kept for after its end, at least 60; 21600 without this key."""
    security_context: Annotated[SecurityContext, Since(V2)] = SecurityContext()
    service_account: Annotated[Text | None, Since(V2)] = None
    """The Kubernetes service account of the job."""
    annotations: Annotated[dict[str, Text], Since(V2)] = Field(default_factory=dict)
    """Kubernetes annotations of the job."""
    on_failure: Annotated[OnFailure | None, Since(OURS)] = None
    """What an exit code other than 0 is answered as; continue only tells it in the message."""
    logs: Annotated[Logs | None, Since(OURS)] = None
    """When the job's output goes into the message."""
    retries: Annotated[int, Field(strict=True, ge=0, le=100), AS_WHOLE, Since(OURS)] = 0
    """How often a job that failed is launched again."""
    active_deadline_seconds: Annotated[Seconds | None, Since(OURS)] = None
    """Seconds that the whole task may take, with all its attempts and the pauses between them."""
    network: Annotated[Literal["default", "none"], AS_TEXT, Since(OURS)] = "default"
    """With none, the job reaches no other machine."""
    pod: Annotated[Pod, Since(OURS)] = Pod()
    """More that only a pod in Kubernetes can have, such as volumes."""

    @property
    def attempt_seconds(self) -> int:
        """Seconds that one attempt may take, with job-executor's default."""
        return 300 if self.max_poll_duration is None else self.max_poll_duration

    @property
    def secrets(self) -> tuple[str, ...]:
        """The names of the Secrets whose keys become variables."""
        return tuple(entry.name for entry in self.env if entry.value_from == "secret")


class Action(Part):
    """What to do for which events; a silent one answers nothing."""

    name: Text = ""
    events: tuple[EventFilter, ...] = ()
    silent: Flag = False
    tasks: tuple[Task, ...] = ()


class JobConfig(Part):
    """A whole file; `upgraded` is in one sentence how an old one was read, and empty for others."""

    api_version: Text = Field(default="", description="firstmate/v1 takes more keys than v2")
    actions: tuple[Action, ...] = ()

    @property
    def upgraded(self) -> str:  # noqa: D102 - the class says it
        return _UPGRADED.get(self.api_version, "")
