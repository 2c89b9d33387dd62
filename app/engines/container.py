"""The engine `container`: a task as a container of docker or podman, through its command line.

The attached CLI runs under our supervisor, as a job does; when that is killed, the container is
found again by its name. Which flags a task becomes stands in `app.engines.flags`.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from app import boundaries
from app.clock import Clock
from app.engines import flags
from app.engines.contract import MOUNT, OOM_KILLED, RESULT_FILE, Ended, Work
from app.engines.jobs import Command
from app.engines.local import Folder, LocalEngine, variables
from app.errors import Permanent, Temporary

CLIS = ("docker", "podman")
PROBE_SECONDS, ANSWER_SECONDS = 2.0, 60.0

_INHERITED = re.compile(
    r"PATH|HOME|LANG|TZ|TMPDIR|XDG_\w+|DOCKER_\w+|CONTAINERS?_\w+|SSH_AUTH_SOCK"
    r"|REGISTRY_AUTH_FILE|DBUS_SESSION_BUS_ADDRESS"
)
_LABEL = "sh.keptn.firstmate"
_WAITING, _ENDED = ("created", "configured", "initialized"), ("exited", "stopped", "dead")
_NOT_RUN = (125, 126, 127)
"""What a CLI returns when not the container failed, but it; a container may return the same."""

_FORCED = ("timeout", "cancelled")
_HINTS = ("Run '", "See '")
_MOMENT = 0.1


class Cli:
    """A docker or podman by its path; it gets nothing of our environment that it does not need."""

    def __init__(self, path: str, environment: Mapping[str, str]) -> None:
        self.path = path
        self.env = {name: environment[name] for name in environment if _INHERITED.fullmatch(name)}

    def ask(self, *args: str, seconds: float = ANSWER_SECONDS) -> bytes | None:
        """What it prints; None when it fails, or takes longer."""
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            command = [self.path, *args]
            return subprocess.run(  # noqa: S603 - docker or podman
                command, env=self.env, timeout=seconds, capture_output=True, check=True
            ).stdout
        return None


def find_cli(
    preferred: str, environment: Mapping[str, str], seconds: float = PROBE_SECONDS
) -> Cli | None:
    """The preferred docker or podman (a name or path; empty: the first) that answers in time."""
    for name in (preferred,) if preferred else CLIS:
        cli = Cli(shutil.which(name, path=environment.get("PATH")) or "", environment)
        if cli.path and cli.ask("info", seconds=seconds) is not None:
            return cli
    return None


Found = Mapping[str, Any]
"""A container, as `inspect` tells of it."""


class ContainerEngine(LocalEngine):
    """Runs work in containers."""

    name = "container"
    without_effect = frozenset(
        {"ttlSecondsAfterFinished", "annotations", "namespace", "serviceAccount", "pod"}
        | {"resources.requests", "securityContext.runAsNonRoot", "securityContext.procMount"}
    )

    def __init__(self, cli: Cli, folder: Path, clock: Clock) -> None:
        super().__init__(folder, clock)
        if ":" in str(self._folder):
            raise Permanent(f"DATA_DIR {folder.parent}: containers mount no path with a colon")
        self._cli = cli
        self._home = hashlib.sha256(os.fsencode(self._folder)).hexdigest()[:12]
        self._removing: set[asyncio.Task[None]] = set()

    def clear(self, key: str) -> None:
        """See `Engine.clear`; the container goes, too."""
        task = asyncio.create_task(self._remove(key), name="container")
        self._removing.add(task)
        task.add_done_callback(self._removing.discard)

    def forget(self, key: str) -> None:
        """See `Engine.forget`; a crash may have come before `clear`, or into it."""
        if self._of(key).files.exists():
            self.clear(key)
        super().forget(key)

    async def close(self) -> None:
        """See `Engine.close`."""
        await asyncio.gather(*self._removing)
        await super().close()

    def _of(self, key: str) -> Folder:
        return Folder(self._folder / key, shared=True)

    def _name(self, key: str) -> str:
        return f"firstmate-{self._home}-{key}"

    def _command(self, folder: Folder, work: Work) -> tuple[Command, str]:
        """The attached CLI, which takes the container's output and exit code and its signals.

        Its private file is an env file.
        """
        key = folder.path.name
        env = variables(work.env, {"KEPTN_FILES_DIR": MOUNT, "KEPTN_RESULT_FILE": RESULT_FILE})
        listed, passed = flags.split(env)
        labels = {"key": key, "home": self._home, "ends-at": self._clock.now() + work.deadline}
        args = (
            *("run", "--name", self._name(key)),
            *flags.repeat("--label", [f"{_LABEL}.{name}={text}" for name, text in labels.items()]),
            *("--log-driver", "json-file", "--log-opt", "max-size=1m"),  # for `_follow`, bounded
            *("--volume", f"{folder.files}:{MOUNT}:z"),
            *("--volume", f"{folder.result}:{RESULT_FILE}:z"),
            *("--env-file", str(folder.private)),
            *flags.repeat("--env", passed),
            *flags.of(work.task),
            *flags.command(work.task, env),
        )
        env_file = "".join(f"{name}={text}\n" for name, text in listed.items())
        return self._attended(key, work.deadline, args, passed), env_file

    def _attended(
        self, key: str, deadline: float, args: tuple[str, ...], passed: Mapping[str, str]
    ) -> Command:
        """A command of the CLI's that stands for the container: at its end, that ends, too."""
        ender = (self._cli.path, "kill", self._name(key))
        env = {**self._cli.env, **passed}
        return Command((self._cli.path, *args), env, str(self._folder), deadline, ender)

    async def _settled(self, key: str, ended: Ended | None) -> Ended | None:
        self._of(key).private.unlink(missing_ok=True)
        try:
            told = self._told(key, *await self._outlive(key, ended))
        except Temporary as error:
            told = Ended(None, "interrupted", str(error))
        return told and replace(told, result=self._of(key).read_result())

    async def _outlive(self, key: str, ended: Ended | None) -> tuple[Ended | None, Found | None]:
        """Wait until the container has ended, now that its CLI has: that may have gone before it.

        Raises:
            Temporary: nobody can tell, or nobody can end it.
        """
        for _ in range(int(ANSWER_SECONDS / _MOMENT)):
            found = await self._find(key)
            if not found or found["State"]["Status"] in (*_WAITING, *_ENDED):
                return ended, found
            boundaries.reached("container found")
            if ended and ended.cause in _FORCED:
                await self._ask("kill", self._name(key))
            else:
                ended = await self._follow(key, found)
            await self._clock.sleep(_MOMENT)
        raise Temporary(f"{self._cli.path} does not end {self._name(key)}")

    async def _follow(self, key: str, found: Found) -> Ended:
        """Wait for a container whose CLI was killed; what its log still has is printed anew."""
        ends_at = float(found["Config"]["Labels"][f"{_LABEL}.ends-at"])
        left = max(0.0, ends_at - self._clock.now())
        command = self._attended(key, left, ("logs", "--follow", self._name(key)), {})
        return await self.restart(key, command)

    async def _find(self, key: str) -> Found | None:
        """The container of this key; None when its engine knows that there is none.

        Raises:
            Temporary: the engine does not answer.
        """
        labels = [f"label={_LABEL}.{one}" for one in (f"key={key}", f"home={self._home}")]
        for _ in range(int(ANSWER_SECONDS)):
            inspected = await self._ask("inspect", "--type", "container", self._name(key))
            if inspected is not None:
                containers: list[Found] = json.loads(inspected)
                return containers[0]
            listed = await self._ask("ps", "--all", "--quiet", *flags.repeat("--filter", labels))
            if listed == b"":
                return None
            await self._clock.sleep(1.0)
        raise Temporary(f"{self._cli.path} does not answer; {self._name(key)} may still run")

    def _told(self, key: str, ended: Ended | None, found: Found | None) -> Ended | None:
        if found and (state := found["State"])["Status"] not in _WAITING:
            cause = ended.cause if ended and ended.cause in _FORCED else "run"
            return Ended(state["ExitCode"], cause, OOM_KILLED if state.get("OOMKilled") else "")
        if ended is None or ended.cause != "run":
            return ended  # if it was created at all, nobody is left to start it
        if ended.code in _NOT_RUN:
            return replace(ended, cause="start" if found else "create", detail=self._complaint(key))
        return replace(ended, detail="its container was removed from outside")

    def _complaint(self, key: str) -> str:
        """The last thing that the CLI said before it gave up."""
        lines = self.logs(key).text().splitlines()
        said = [line for line in lines if line.strip() and not line.startswith(_HINTS)]
        return said[-1][:500] if said else ""

    async def _remove(self, key: str) -> None:
        """Remove the container, then its files, so that `forget` sees whether it came to that."""
        if await self._ask("rm", "--force", "--volumes", self._name(key)) is not None:
            self._of(key).clear()

    async def _ask(self, *args: str) -> bytes | None:
        return await asyncio.to_thread(self._cli.ask, *args)
