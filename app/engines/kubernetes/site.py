"""What the operator decides for all Jobs, and the file with the part of it that is no variable.

How it becomes part of a Job stands in `manifest`.
"""

from dataclasses import dataclass, field
from pathlib import Path

from pydantic import Field

from app.document.tree import Mapping as Tree
from app.document.tree import Node, compose
from app.document.typed import FileError, Flag, Int64, Part, Text, validated
from app.errors import Permanent
from app.jobconfig.schema import Capabilities, Resources, SeccompProfile, SecurityContext

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

FILES_GROUP = {"fsGroup": 2000}
"""The group that volumes belong to."""

MODEST = Resources.model_validate(
    {"limits": {"cpu": "1", "memory": "512Mi"}, "requests": {"cpu": "50m", "memory": "128Mi"}}
)


class PodSecurity(Part):
    """Kubernetes' security context of a whole pod."""

    run_as_user: Int64 | None = None
    run_as_group: Int64 | None = None
    run_as_non_root: Flag | None = None
    fs_group: Int64 | None = None
    fs_group_change_policy: Text | None = None
    supplemental_groups: tuple[Int64, ...] | None = None
    seccomp_profile: SeccompProfile | None = None


class JobDefaults(Part):
    """The file JOB_DEFAULTS_FILE, in the form of `jobConfig` in job-executor's Helm values.

    Its fields come before those of RESTRICTED and FILES_GROUP.
    """

    labels: dict[str, Text] = Field(default_factory=dict)
    job_security_context: SecurityContext = SecurityContext()
    pod_security_context: PodSecurity = PodSecurity()


@dataclass(frozen=True, slots=True)
class Site:
    """What the operator decides for all Jobs.

    The first of `namespaces` is used where a task names none, and no Job is made outside of them.
    `init_image` is our own image, which brings files to a pod; without it, that of `own_pod` is
    taken, a namespace and a name.
    """

    namespaces: tuple[str, ...]
    init_image: str = ""
    own_pod: tuple[str, str] = ("", "")
    managed_by: str = "firstmate"
    service_account: str = ""
    resources: Resources = MODEST
    defaults: JobDefaults = field(default_factory=JobDefaults)
    volume_size: str = "20Mi"


def read_defaults(file: Path) -> JobDefaults:
    """What an operator's file says; Go's capital letters in its keys mean nothing.

    Raises:
        Permanent: it cannot be read, or is wrong, naming the line.
    """
    try:
        tree, problems = compose(file.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise Permanent(f"JOB_DEFAULTS_FILE {file} cannot be read: {error}") from None
    if tree is None or problems:
        raise FileError(str(file), problems)
    _respell(tree)
    defaults, wrong = validated(JobDefaults, tree)
    if defaults is None:
        raise FileError(str(file), wrong)
    return defaults


_KEYS = {
    (key := field.alias or name).casefold(): key
    for part in (JobDefaults, PodSecurity, SecurityContext, Capabilities, SeccompProfile)
    for name, field in part.model_fields.items()
}


def _respell(node: Node) -> None:
    if isinstance(node, Tree):
        for key in list(node):
            spelled = _KEYS.get(key.casefold(), key)
            node[spelled], node.marks[spelled] = node.pop(key), node.marks.pop(key)
            if spelled != "labels":
                _respell(node[spelled])
