"""Work for an engine, as a task in a job config asks for it."""

from collections.abc import Iterable
from typing import Any

from app.engines.contract import Work
from app.jobconfig.schema import Env, Task

SHORT = {
    "pull_policy": "image_pull_policy",
    "security": "security_context",
    "ttl": "ttl_seconds_after_finished",
}
"""The keys of a task that tests call by a shorter name."""


def task(
    *,
    mounted_env: Iterable[str] = (),
    secrets: Iterable[str] = (),
    network: bool = True,
    **keys: Any,
) -> Task:
    """A task with these keys; `mounted_env` and `secrets` name entries of its `env`."""
    given = {SHORT.get(key, key): value for key, value in keys.items()}
    entries = [{"name": name, "valueFrom": "string"} for name in mounted_env]
    entries += [{"name": name, "valueFrom": "secret"} for name in secrets]
    given["env"] = tuple(map(Env.model_validate, entries))
    given["network"] = "default" if network else "none"
    return Task().model_copy(update=given)


def work(deadline: float = 60.0, env: Any = None, **more: Any) -> Work:
    """Work on such a task; `files` and `origin` are the work's own."""
    own = {key: more.pop(key) for key in ("files", "origin") if key in more}
    return Work(task(**more), env or {}, deadline, **own)
