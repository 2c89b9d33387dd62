"""What policy.yaml and the operator's variables may say, as frozen values.

What a task asks for is held against the rules in in_force.py.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from app.document.tree import Node, Problem
from app.document.typed import AS_TEXT, AS_WHOLE, Flag, Parsed, Part, Text, loaded, validated
from app.errors import Permanent
from app.jobconfig.quantities import quantity
from app.jobconfig.schema import Resources, proven
from app.policy.globs import compiled

Patterns = tuple[Annotated[Text, proven(compiled)], ...]
Ceiling = Annotated[Text, proven(quantity)]
Kind = Annotated[Literal["emptyDir", "secret", "configMap", "persistentVolumeClaim"], AS_TEXT]

HARMLESS = (
    *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD"),
    *("NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
)
"""The capabilities that Kubernetes' baseline profile lets a container add."""

OURS = ("firstmate", "firstmate-*", "keptn", "keptn-*", "job-executor-service*", "job-service-*")
PROTECTED = {
    "service_accounts": OURS,
    "secrets": (
        *("firstmate", "firstmate-*", "job-executor-service*", "job-service-*"),
        *("keptn-api-token", "keptn-mongo*", "keptn-nats*", "keptn-*-token-?????"),
        *("bridge-credentials", "bridge-oauth*", "git-credentials-*", "mongodb-credentials"),
        "sh.helm.release.*",
    ),
    "config_maps": (*OURS, "sh.helm.release.*"),
    "persistent_volume_claims": (*OURS, "*keptn-mongo*", "*keptn-nats*"),
}
"""What belongs to this service, to Keptn or to Helm: a rule allows it only by its whole name."""


class Rules(Part):
    """What tasks may ask for; names are patterns, in which `*` is any text."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    images: Patterns = ("*",)
    """Container images; each is looked for by its short and its full name."""
    namespaces: Patterns = ("*",)
    """Kubernetes namespaces beside the first of JOB_NAMESPACE; by default, all in that variable."""
    service_accounts: Patterns = ("*",)
    """Service accounts beside `default` and DEFAULT_JOB_SERVICE_ACCOUNT."""
    secrets: Patterns = ("*",)
    """Secrets, for variables, volumes and pulling images."""
    config_maps: Patterns = ("*",)
    """ConfigMaps, for volumes."""
    persistent_volume_claims: Patterns = ("*",)
    """PersistentVolumeClaims, for volumes."""
    volumes: tuple[Kind, ...] = ("emptyDir", "secret", "configMap", "persistentVolumeClaim")
    """Kinds of volumes."""
    capabilities: Patterns = HARMLESS
    """Linux capabilities that may be added; any where a container may be privileged."""
    privileged: Flag = False
    """Whether a container may be privileged; only where ALLOW_PRIVILEGED_JOBS is set."""
    allow_privilege_escalation: Flag = True
    """Whether `allowPrivilegeEscalation: true` may stand there."""
    run_as_root: Flag = True
    """Whether `runAsUser: 0` may stand there."""
    unconfined: Flag = True
    """Whether a seccompProfile may be Unconfined, and a procMount other than Default."""
    deadline_seconds: Annotated[int, Field(strict=True, ge=0), AS_WHOLE] = 0
    """The most seconds that a task may work, all attempts together; 0: no such limit."""
    cpu: Ceiling | None = None
    """The largest limit of CPU."""
    memory: Ceiling | None = None
    """The largest limit of memory."""

    def before(self, general: "Rules") -> "Rules":
        """The general rules with all that these ones say in their place."""
        return general.model_copy(update={key: getattr(self, key) for key in self.model_fields_set})


@dataclass(frozen=True, slots=True)
class Terms:
    """What the operator's variables say, and what they give to tasks that ask for nothing else.

    `images` is comma-separated, `deadline` in seconds; empty and 0 stand for no limit. `resources`
    are those of tasks without such a key.
    """

    file: Path | None = None
    images: str = ""
    privileged: bool = False
    namespaces: tuple[str, ...] = ()
    service_account: str = ""
    deadline: int = 0
    resources: Resources = field(default_factory=Resources)

    def rules(self) -> Rules:
        """What holds where a file says nothing.

        Raises:
            Permanent: a pattern of the variable cannot be used.
        """
        images = tuple(part.strip() for part in self.images.split(",") if part.strip())
        try:
            [*map(compiled, images)]
        except ValueError as error:
            raise Permanent(f"ALLOWED_IMAGE_LIST: {error}") from None
        told = {"images": images, "namespaces": self.namespaces, "privileged": self.privileged}
        return Rules().model_copy(update={key: value for key, value in told.items() if value})


class PolicyFile(Part):
    """A whole file: rules for all projects, and by a project's name what is otherwise there."""

    api_version: Text = ""
    rules: Rules = Rules()
    projects: dict[str, Rules] = Field(default_factory=dict)

    def of(self, project: str, general: Rules) -> Rules:
        """What holds for a project's tasks, on the ground of what holds without a file."""
        rules = self.projects.get(project, Rules()).before(self.rules.before(general))
        return rules.model_copy(update={"privileged": rules.privileged and general.privileged})


def read(text: str, name: str = "policy.yaml") -> PolicyFile:
    """The policy in a text; `name` stands in front of each problem.

    Raises:
        FileError: with all problems of the file.
    """
    return loaded(text, name, _parsed)


def _parsed(tree: Node) -> Parsed[PolicyFile]:
    file, problems = validated(PolicyFile, tree)
    if file and file.api_version != "firstmate/v1":
        problems.append(Problem(1, 1, "the file begins with `apiVersion: firstmate/v1`"))
    return file, problems
