"""A task's keys as flags of `docker run` and `podman run`: only such that both of them know; pure.

What runs the command line, and what becomes of the container, stands in `app.engines.container`.
"""

import os
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal

from app.errors import Permanent
from app.jobconfig.env import expand
from app.jobconfig.quantities import quantity
from app.jobconfig.schema import Capabilities, Resources, SecurityContext, Task

_PULLS = {"": "", "Always": "always", "IfNotPresent": "missing", "Never": "never"}
_IMAGE = re.compile(r"[A-Za-z0-9](?!.*:/)[\w.:/@+-]*", re.ASCII)

# The two read an env file by different rules (podman's changed with its versions): what all of
# them take as it is stands in the file, the rest goes through the CLI's own environment.
_PLAIN = re.compile(r"[A-Za-z_]\w*=(?! )[^\x00-\x1f\x7f\"'#\\`$%\ud800-\udfff]{0,60000}(?<! )")
_NAME = re.compile(r"[^\s=*#]+")
_STEERING = re.compile(
    r"(PATH|HOME|TMPDIR|GO(DEBUG|GC|MAXPROCS|MEMLIMIT|TRACEBACK|COVERDIR)|\w+_PROXY)$"
    r"|(LD|XDG|SSL|SSH|DBUS|DOCKER|CONTAINERS?|BUILDAH|PODMAN|REGISTRY|STORAGE|LISTEN|NOTIFY)_",
    re.IGNORECASE,
)


def of(task: Task) -> list[str]:
    """The flags for everything but its name, mounts and variables.

    Raises:
        Permanent: a key that cannot be served, with the remedy.
    """
    if task.image_pull_policy not in _PULLS:
        allowed = ", ".join(filter(None, _PULLS))
        raise Permanent(f"imagePullPolicy {task.image_pull_policy!r} is none of {allowed}")
    return [
        *_flag("--pull", _PULLS[task.image_pull_policy]),
        *_flag("--workdir", task.working_dir),
        *_flag("--network", "none" if task.network == "none" else ""),
        *_limits(task.resources or Resources()),
        *_security(task.security_context),
    ]


def command(task: Task, env: Mapping[str, str]) -> list[str]:
    """Entrypoint, image and arguments, by Kubernetes' rules for command and args.

    Raises:
        Permanent: there is no such image.
    """
    if not _IMAGE.fullmatch(task.image):
        raise Permanent(f"image {task.image!r} is no image's name: write it as HOST/NAME:TAG")
    cmd, args = ([expand(part, env) for part in parts] for parts in (task.cmd, task.args))
    return [*(["--entrypoint", cmd[0]] if cmd else []), task.image, *cmd[1:], *args]


def split(env: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """The variables for an env file, and those that the CLI has to take from its own environment.

    Raises:
        Permanent: a variable can go neither way.
    """
    listed = {name: text for name, text in env.items() if _PLAIN.fullmatch(f"{name}={text}")}
    passed = {name: env[name] for name in env if name not in listed and _NAME.fullmatch(name)}
    for name in filter(_STEERING.match, passed):
        raise Permanent(
            f"env {name}: container CLIs heed a variable of this name themselves, so its value may"
            " have one line only, without quotes and # \\ ` $ %; give it another name"
        )
    return listed, passed


def repeat(flag: str, values: Iterable[str]) -> list[str]:
    """The flag once for each value."""
    return [part for value in values for part in (flag, value)]


def _flag(name: str, value: object) -> list[str]:
    return [name, str(value)] if value else []


def _limits(resources: Resources) -> list[str]:
    """Limits only: requests are for a scheduler, and there is none."""
    most = Decimal(os.cpu_count() or 1)  # docker refuses more than there are
    cpus = min(_quantity("cpu", resources.limits.cpu), most)
    memory = _quantity("memory", resources.limits.memory)
    return [*_flag("--cpus", cpus and f"{cpus:f}"), *_flag("--memory", int(memory))]


def _quantity(key: str, text: str) -> Decimal:
    try:
        return quantity(text or "0")
    except ValueError as error:
        raise Permanent(f"resources.limits.{key} {error}") from None


def _security(context: SecurityContext) -> list[str]:
    if context.run_as_group is not None and context.run_as_user is None:
        raise Permanent("securityContext.runAsGroup without runAsUser: set both")
    user = [str(one) for one in (context.run_as_user, context.run_as_group) if one is not None]
    capabilities = context.capabilities or Capabilities()
    no_more = ["no-new-privileges"] if context.allow_privilege_escalation is False else []
    return [
        *(["--privileged"] if context.privileged else []),
        *_flag("--user", ":".join(user)),
        *(["--read-only"] if context.read_only_root_filesystem else []),
        *repeat("--cap-drop", capabilities.drop),
        *repeat("--cap-add", capabilities.add),
        *repeat("--security-opt", [*no_more, *_seccomp(context)]),
    ]


def _seccomp(context: SecurityContext) -> list[str]:
    kind = context.seccomp_profile.type if context.seccomp_profile else None
    if kind not in (None, "", "RuntimeDefault", "Unconfined"):
        raise Permanent(
            f"securityContext.seccompProfile {kind!r}: there are no profiles beside RuntimeDefault"
            " and Unconfined on this engine"
        )
    return ["seccomp=unconfined"] if kind == "Unconfined" else []
