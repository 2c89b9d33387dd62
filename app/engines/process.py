"""The engine `process`: a task's command as a local process group, under a supervisor.

How it is launched, found again and ended stands in `app.engines.local` and `app.engines.jobs`.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from app.clock import Clock
from app.engines.contract import MOUNT, Ended, Work
from app.engines.jobs import Command
from app.engines.local import Folder, LocalEngine, variables
from app.errors import Permanent
from app.jobconfig.env import expand

INHERITED = ("PATH", "HOME", "LANG", "TZ")
"""All that a job gets of the service's own environment."""


class ProcessEngine(LocalEngine):
    """Runs work on this machine as it is, without images."""

    name = "process"
    without_effect = frozenset(
        {"imagePullPolicy", "ttlSecondsAfterFinished", "annotations", "resources"}
        | {"securityContext", "namespace", "serviceAccount", "network", "pod"}
    )

    def __init__(self, folder: Path, clock: Clock, environment: Mapping[str, str]) -> None:
        super().__init__(folder, clock)
        self._inherited = {name: environment[name] for name in INHERITED if name in environment}

    def _command(self, folder: Folder, work: Work) -> tuple[Command, str]:
        """The task's own command; `/keptn` becomes the task's own folder."""
        task = work.task
        if not task.cmd:
            raise Permanent(
                f"the image {task.image!r} without cmd has no meaning on the process engine, "
                "which has no images: add cmd to the task, or use a container engine"
            )

        def local(text: str) -> str:
            inside = text == MOUNT or text.startswith(MOUNT + "/")
            return str(folder.files) + text[len(MOUNT) :] if inside else text

        given = {"KEPTN_FILES_DIR": str(folder.files), "KEPTN_RESULT_FILE": str(folder.result)}
        mounted = {one.name for one in task.env if one.value_from == "string"}
        own = {name: local(value) if name in mounted else value for name, value in work.env.items()}
        env = variables(own, {**self._inherited, **given})
        argv = tuple(local(expand(part, env)) for part in (*task.cmd, *task.args))
        return Command(argv, env, local(task.working_dir) or str(folder.files), work.deadline), ""

    async def _settled(self, key: str, ended: Ended | None) -> Ended | None:
        return ended and replace(ended, result=self._of(key).read_result())
