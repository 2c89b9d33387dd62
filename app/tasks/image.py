"""The kind `image`: a container image with a command, the one kind that job-executor has."""

from dataclasses import dataclass

from app.engines.contract import Work
from app.events.parse import Event
from app.jobconfig.env import environment
from app.jobconfig.read import Task
from app.keptn.resources import Source
from app.tasks.files import gathered
from app.tasks.secrets import Secrets

DEFAULT_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Supplies:
    """What a task may ask for: Keptn's files, and the operator's secrets."""

    resources: Source
    secrets: Secrets


async def work(task: Task, event: Event, commit: str, supplies: Supplies) -> Work:
    """What to launch for the task; `commit` is where its files are read.

    Raises:
        Permanent: naming the key that cannot be served, or what is missing.
    """
    files = await gathered(task, event, commit, supplies.resources)
    parent = {"TRACEPARENT": event.traceparent} if event.traceparent else {}
    deadline = DEFAULT_SECONDS if task.max_poll_duration is None else task.max_poll_duration
    return Work(
        image=task.image,
        cmd=task.cmd,
        args=task.args,
        env=parent | environment(task, event, supplies.secrets.of),
        working_dir=task.working_dir,
        deadline=float(deadline),
        mounted_env=frozenset(one.name for one in task.env if one.value_from == "string"),
        files=files,
        pull_policy=task.image_pull_policy,
        resources=task.resources,
        security=task.security_context,
        network=task.network != "none",
    )
