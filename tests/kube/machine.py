"""A node of the double that runs containers for real, as processes of this machine.

What a kernel's namespaces would do is played: `/keptn` and the result file stand for places in the
pod's own folder wherever they are named. An image that has a play is played, as on any other node.
"""

import asyncio
import base64
import contextlib
import os
import re
import signal
import sys
from asyncio.subprocess import Process
from pathlib import Path

from tests.kube.plays import Controller, Life
from tests.kube.store import Object

RESULT_FILE = "/dev/termination-log"
MOST_MESSAGE, MOST_LOG = 4096, 2048
"""What a node keeps of a result file, and of a log in its place."""

_REFERENCE = re.compile(r"\$(?:\$|\(([-._a-zA-Z0-9]+)\))")
_PLACES = re.compile(rf"(?<![\w.-])(/keptn|/firstmate/files|{RESULT_FILE})(?![\w.-])")


class NoSecret(Exception):
    """A Secret that a container asks for is not there."""


class Machine(Controller):
    """Gives every Job a pod whose container is a process, with a folder of its own."""

    async def _play(self, life: Life, pod: Object, spec: Object) -> None:
        container = spec["containers"][0]
        if container["image"] in self.plays:
            await super()._play(life, pod, spec)
            return
        life.play.condition_after = 0.05
        life.folder = Path(self.folder.name) / life.name
        (life.folder / "keptn").mkdir(parents=True)
        (life.folder / "termination-log").touch()
        if await self._files(life, pod, spec):
            await self._run(life, container, spec["terminationGracePeriodSeconds"])

    async def _run(self, life: Life, container: Object, grace: float) -> None:
        try:
            process = await self._started(life, container)
        except NoSecret as error:
            waiting = {"reason": "CreateContainerConfigError", "message": str(error)}
            self._container(life, "Pending", {"waiting": waiting})
            await self._until_deleted(life)
            return
        except OSError as error:
            words = f"exec: {container['command'][0]!r}: {error.strerror}"
            self._terminated(life, 128, "StartError", words)
            await self._conclude(life, failed=True)
            return
        self._container(life, "Running", {"running": {"startedAt": self.store.stamp()}})
        code = await self._attended(life, process, grace)
        self._terminated(life, code, "Error" if code else "Completed", _message(life, code))
        if life.asked_to_end.is_set():
            life.ended.set()
            await asyncio.sleep(0.05)  # a watch is told of the end before the pod goes
            self.store.delete("pods", life.namespace, life.pod)
            return
        await self._conclude(life, failed=code != 0)

    async def _started(self, life: Life, container: Object) -> Process:
        env = self._environment(life.namespace, container)
        words = [*container.get("command", []), *container.get("args", [])]
        argv = [_placed(_expanded(word, env), life) for word in words]
        cwd = _placed(container.get("workingDir", "/"), life)
        os.makedirs(cwd, exist_ok=True)  # noqa: PTH103 - pathlib's is not for coroutines
        path = {"PATH": os.environ["PATH"]}
        placed = {name: _placed(text, life) for name, text in env.items()}
        return await _spawned(argv, path | placed, cwd)

    def _environment(self, namespace: str, container: Object) -> dict[str, str]:
        """Secrets first, then what is named; each value may refer to those before it."""
        env: dict[str, str] = {}
        for source in container.get("envFrom", []):
            name = source["secretRef"]["name"]
            found = self.store.objects.get(("secrets", namespace, name))
            if found is None:
                raise NoSecret(f'secret "{name}" not found')
            env |= {key: base64.b64decode(text).decode() for key, text in found["data"].items()}
        for one in container.get("env", []):
            env[one["name"]] = _expanded(one["value"], env)
        return env

    async def _attended(self, life: Life, process: Process, grace: float) -> int:
        """The exit code, once the container and all that it began are gone."""
        assert process.stdout
        printing = asyncio.create_task(_print(process.stdout, life))
        try:
            await self._first(process.wait(), life.asked_to_end.wait())
            if process.returncode is None:
                stamp = {"deletionTimestamp": self.store.stamp()}
                self.store.update("pods", life.namespace, life.pod, metadata=stamp)
                _signal(process, signal.SIGTERM)
                await self._first(process.wait(), self.clock.sleep(grace))
        finally:
            _signal(process, signal.SIGKILL)
        code = await process.wait()
        await printing
        return code if code >= 0 else 128 - code

    async def _initiate(self, life: Life, container: Object) -> str:
        """Run the init container's own command, with this Python for the image's."""
        assert life.folder
        words = [_placed(word, life) for word in (*container["command"], *container["args"])]
        assert words[0] == "python"
        process = await _spawned([sys.executable, *words[1:]], {}, "/")
        said, _ = await process.communicate()
        return said.decode().strip() or "it failed" if process.returncode else ""


async def _spawned(argv: list[str], env: dict[str, str], cwd: str) -> Process:
    return await asyncio.create_subprocess_exec(
        *argv,
        env=env,
        cwd=cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )


async def _print(stream: asyncio.StreamReader, life: Life) -> None:
    while chunk := await stream.read(1 << 16):
        life.printed += chunk


def _signal(process: Process, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _message(life: Life, code: int) -> str:
    """The result file's end, or the log's where it is empty and the container failed."""
    assert life.folder
    told = (life.folder / "termination-log").read_bytes()[-MOST_MESSAGE:]
    if not told and code:
        told = bytes(life.printed[-MOST_LOG:])
    return told.decode(errors="replace")


def _expanded(text: str, env: dict[str, str]) -> str:
    """`$(NAME)` of a variable that is there, and `$$` for one of them; all else stays."""

    def value(found: re.Match[str]) -> str:
        name = found[1]
        return "$" if name is None else env.get(name, found[0])

    return _REFERENCE.sub(value, text)


def _placed(text: str, life: Life) -> str:
    """With the pod's own folder for the places that its mounts would be at."""
    assert life.folder
    places = {
        "/keptn": life.folder / "keptn",
        "/firstmate/files": life.folder / "parts",
        RESULT_FILE: life.folder / "termination-log",
    }
    return _PLACES.sub(lambda found: str(places[found[1]]), text)
