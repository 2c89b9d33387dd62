"""The kind `image`: a container image with a command, the one kind that job-executor has."""

from app.engines.contract import Work
from app.errors import Permanent
from app.events.parse import Event
from app.jobconfig.env import environment
from app.jobconfig.read import Task

DEFAULT_SECONDS = 300


def work(task: Task, event: Event) -> Work:
    """What to launch for the task.

    Raises:
        Permanent: naming the key that cannot be served, or the part of the event that is missing.
    """
    if task.files:
        raise Permanent(f"task {task.name!r}: files are not served yet, remove the key `files`")
    deadline = DEFAULT_SECONDS if task.max_poll_duration is None else task.max_poll_duration
    return Work(
        image=task.image,
        cmd=task.cmd,
        args=task.args,
        env=environment(task, event),
        working_dir=task.working_dir,
        deadline=float(deadline),
        mounted_env=frozenset(one.name for one in task.env if one.value_from == "string"),
    )
