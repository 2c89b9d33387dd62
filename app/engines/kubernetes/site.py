"""What the operator decides for all Jobs, and the file with the part of it that is no variable.

How it becomes part of a Job stands in `manifest`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from pydantic import Field

from app.document.typed import Flag, Int64, Part, Text, loaded, validated
from app.document.watched import content
from app.engines.kubernetes.sight import Wait
from app.jobconfig.schema import Resources, SeccompProfile, SecurityContext

CONFINED = SecurityContext.model_validate(
    {
        "capabilities": {"drop": ["ALL"]},
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
)
"""What Kubernetes calls the restricted profile, for whichever user."""

RESTRICTED = CONFINED.model_copy(
    update={"run_as_user": 1000, "run_as_group": 2000, "run_as_non_root": True}
)
"""The same for job-executor's user and group."""

MODEST = Resources.model_validate(
    {"limits": {"cpu": "1", "memory": "512Mi"}, "requests": {"cpu": "50m", "memory": "128Mi"}}
)


class PodSecurity(Part):
    """Kubernetes' security context of a whole pod; volumes belong to the group `fsGroup`."""

    run_as_user: Int64 | None = None
    run_as_group: Int64 | None = None
    run_as_non_root: Flag | None = None
    fs_group: Int64 = 2000
    fs_group_change_policy: Text | None = None
    supplemental_groups: tuple[Int64, ...] | None = None
    seccomp_profile: SeccompProfile | None = None


class JobDefaults(Part):
    """The file JOB_DEFAULTS_FILE, in the form of `jobConfig` in job-executor's Helm values.

    Its fields come before those of RESTRICTED.
    """

    labels: dict[str, Text] = Field(default_factory=dict)
    job_security_context: SecurityContext = SecurityContext()
    pod_security_context: PodSecurity = PodSecurity()


@dataclass(frozen=True, slots=True)
class Site:
    """What the operator decides for all Jobs.

    The first of `namespaces` is used where a task names none, and no Job is made outside of them.
    `init_image` is our own image, which brings files to a pod; without it, that of `own_pod` is
    taken, a namespace and a name. `graces` are the seconds for which a pod may be held up: for room
    it may well be given.
    """

    namespaces: tuple[str, ...]
    init_image: str = ""
    own_pod: tuple[str, str] = ("", "")
    managed_by: str = "firstmate"
    service_account: str = ""
    resources: Resources = MODEST
    defaults: JobDefaults = field(default_factory=JobDefaults)
    volume_size: str = "20Mi"
    graces: Mapping[Wait, float] = field(default_factory=lambda: {"trouble": 15.0, "room": 180.0})


def read_defaults(file: Path) -> JobDefaults:
    """What an operator's file says.

    Raises:
        Permanent: it cannot be read, or is wrong, naming the line.
    """
    text = content("JOB_DEFAULTS_FILE", file)
    return loaded(text, str(file), partial(validated, JobDefaults))
