"""The kind `image`: a container image with a command, the one kind that job-executor has."""

from dataclasses import dataclass

from app.engines.contract import Origin, Work
from app.events.parse import Event
from app.jobconfig.env import environment
from app.jobconfig.read import Task
from app.keptn.resources import Source
from app.tasks.files import gathered
from app.tasks.secrets import Secrets


@dataclass(frozen=True, slots=True)
class Supplies:
    """What a task may ask for: Keptn's files, and secrets unless the engine has them."""

    resources: Source
    secrets: Secrets | None


async def work(task: Task, event: Event, origin: Origin, supplies: Supplies) -> Work:
    """What to launch for the task; its files are read at the origin's commit.

    Raises:
        Permanent: naming the key that cannot be served, or what is missing.
    """
    files = await gathered(task, event, origin.commit, supplies.resources)
    given = supplies.secrets.of if supplies.secrets else lambda _: {}
    parent = {"TRACEPARENT": event.traceparent} if event.traceparent else {}
    env = parent | environment(task, event, given)
    return Work(task, env, float(task.attempt_seconds), files, origin)
