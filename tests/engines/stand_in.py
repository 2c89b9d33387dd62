"""A program in the place of docker or podman, where neither answers: containers that are processes.

Its containers live on when it is killed; their state is in the folder that DOCKER_HOST names. It
refuses every flag that is not in both manuals (`flags.json`), and fails to pull an unknown image.
What needs a kernel's namespaces is played: `/keptn` and the result file stand for their host paths
wherever they are named. Only the standard library is used, and nothing of the service.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

STATE = Path(os.environ.get("DOCKER_HOST", "unix:///nowhere").removeprefix("unix://"))
IMAGES: dict[str, dict[str, list[str]]] = {
    "box:1": {"entrypoint": [], "cmd": ["sh"]},
    "greeter:1": {"entrypoint": ["printf", "<%s>\n", "from the image"], "cmd": ["default"]},
}
OOM_MARK = "oom-killed"
ORDER = "crash.json"
"""In the state's folder: the boundary at which to kill, and whom."""


class Refused(Exception):
    """What the CLI ends with: its exit code and its last words."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def parse(command: str, args: list[str]) -> tuple[dict[str, list[str]], list[str]]:
    """The flags before the first word that is none, and the rest; refuses what one CLI lacks."""
    manuals = json.loads((Path(__file__).parent / "flags.json").read_text())
    known = [manuals[cli][command] for cli in ("docker", "podman")]
    found: dict[str, list[str]] = {}
    while args and args[0].startswith("-"):
        flag = args.pop(0)
        if all(flag in one["with a value"] for one in known):
            found.setdefault(flag, []).append(args.pop(0))
        elif all(flag in one["alone"] for one in known):
            found[flag] = []
        else:
            raise Refused(125, f"unknown flag: {flag}")
    return found, args


def load(name: str) -> dict[str, Any]:
    """The state of a container."""
    try:
        return dict(json.loads((STATE / name / "state.json").read_text()))
    except OSError:
        raise Refused(1, f"Error: No such container: {name}") from None


def save(name: str, **changes: Any) -> None:
    """Change a container's state, as a whole."""
    file = STATE / name / "state.json"
    state = json.loads(file.read_text()) if file.exists() else {}
    file.with_suffix(".part").write_text(json.dumps(state | changes))
    file.with_suffix(".part").rename(file)


def reached(boundary: str) -> None:
    """Carry out the order that a crash test left, if it is for this passing of this boundary."""
    file = STATE / ORDER
    if not file.exists() or (order := json.loads(file.read_text()))["at"] != boundary:
        return
    if order["nth"] > 1:
        file.write_text(json.dumps(order | {"nth": order["nth"] - 1}))
        return
    file.unlink()
    os.kill(order["service"], signal.SIGKILL)
    if order["children"]:
        os.kill(os.getppid(), signal.SIGKILL)  # the supervisor
        os.kill(os.getpid(), signal.SIGKILL)


def run(args: list[str]) -> int:
    """Create a container, start it, and stay with it to its end."""
    flags, (image, *words) = parse("run", args)
    name = flags["--name"][0]
    if image not in IMAGES:
        if flags.get("--pull") == ["never"]:
            raise Refused(125, f"No such image: {image}")
        print(f"Unable to find image '{image}' locally", file=sys.stderr, flush=True)
        time.sleep(0.2)
        raise Refused(125, f"pull access denied for {image}, repository does not exist")
    try:
        (STATE / name).mkdir(parents=True)
    except FileExistsError:
        raise Refused(125, f'Conflict. The container name "/{name}" is already in use') from None

    def mounted(text: str) -> str:
        for outside, inside, _ in (one.split(":") for one in flags.get("--volume", [])):
            text = text.replace(inside, outside)
        return text

    entrypoint = flags.get("--entrypoint") or IMAGES[image]["entrypoint"]
    default = [] if "--entrypoint" in flags else IMAGES[image]["cmd"]
    argv = [mounted(word) for word in (*entrypoint, *(words or default))]
    labels = dict(one.split("=", 1) for one in flags.get("--label", []))
    given = {key: value for key, value in flags.items() if key not in ("--env-file", "--label")}
    save(name, argv=argv, labels=labels, flags=given, Status="created", ExitCode=0, pid=0)
    env = {name: mounted(text) for name, text in variables(flags).items()}
    cwd = mounted(flags.get("--workdir", ["/"])[0])
    reached("container created")
    if os.fork() == 0:
        os.setsid()
        be_container(name, argv, {"PATH": os.environ["PATH"], **env}, cwd)
    return attend(name)


def variables(flags: dict[str, list[str]]) -> dict[str, str]:
    """What --env-file and --env give, by the rules that docker's manual states."""
    found = {}
    for file in flags.get("--env-file", []):
        assert Path(file).stat().st_mode & 0o077 == 0, "an env file that others can read"
        for line in Path(file).read_text().splitlines():
            name, _, value = line.partition("=")
            if line and not line.startswith("#"):
                found[name] = value
    for name in flags.get("--env", []):
        if "=" in name:
            raise Refused(125, f"a value on the command line: --env {name}")
        found[name] = os.environ[name]
    return found


def be_container(name: str, argv: list[str], env: dict[str, str], cwd: str) -> None:
    """Run the command, whatever becomes of the CLI. Never returns."""
    folder = STATE / name
    with (folder / "log").open("ab") as log:
        try:
            process = subprocess.Popen(
                argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            code = 126 if isinstance(error, PermissionError) else 127
            save(name, Error=f"exec: {argv[0]!r}: {error.strerror}", ExitCode=code)
            os._exit(0)
        save(name, Status="running", pid=process.pid)
        code = process.wait()
        signal_group(process.pid, signal.SIGKILL)
    oom = (folder / "log").read_bytes().endswith(f"{OOM_MARK}\n".encode())
    code = 137 if oom else code if code >= 0 else 128 - code
    save(name, Status="exited", ExitCode=code, OOMKilled=oom)
    os._exit(0)


def attend(name: str, *, start: int = 0) -> int:
    """Print the container's log to its end, and return its exit code; signals go to it."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: signal_group(load(name)["pid"], number))
    place, announced = start, False
    while True:
        state = load(name)
        if "Error" in state and state["Status"] == "created":
            raise Refused(state["ExitCode"], f"Error response from daemon: {state['Error']}")
        if state["Status"] != "created" and not announced:
            announced = True
            reached("container started")
        log = STATE / name / "log"
        if log.exists():
            with log.open("rb") as file:
                file.seek(place)
                while chunk := file.read(1 << 16):
                    sys.stdout.buffer.write(chunk)
                    place += len(chunk)
            sys.stdout.flush()
        if state["Status"] == "exited":
            return int(state["ExitCode"])
        time.sleep(0.01)


def signal_group(pid: int, number: int) -> None:
    """Signal a container's processes, if they are there."""
    if pid:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, number)


def logs(args: list[str]) -> int:
    """Print a container's log; a signal ends this, not the container."""
    _, (name,) = parse("logs", args)
    load(name)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    place = 0
    while True:
        ended = load(name)["Status"] == "exited"
        content = (STATE / name / "log").read_bytes()
        sys.stdout.buffer.write(content[place:])
        sys.stdout.flush()
        place = len(content)
        if ended:
            return 0
        time.sleep(0.01)


def inspect(args: list[str]) -> int:
    """Print all that is known of a container."""
    flags, (name,) = parse("inspect", args)
    assert flags["--type"] == ["container"]
    state = load(name)
    kept = {key: state.get(key) for key in ("Status", "ExitCode", "OOMKilled", "Error")}
    print(json.dumps([{"Name": f"/{name}", "State": kept, "Config": {"Labels": state["labels"]}}]))
    return 0


def kill(args: list[str]) -> int:
    """End a container that runs."""
    _, (name,) = parse("kill", args)
    if load(name)["Status"] != "running":
        raise Refused(1, f"Cannot kill container: {name} is not running")
    signal_group(load(name)["pid"], signal.SIGKILL)
    return 0


def rm(args: list[str]) -> int:
    """Remove a container."""
    flags, (name,) = parse("rm", args)
    if not (STATE / name).exists() and "--force" in flags:
        return 0
    if load(name)["Status"] == "running":
        if "--force" not in flags:
            raise Refused(1, f"cannot remove running container {name}")
        signal_group(load(name)["pid"], signal.SIGKILL)
        while load(name)["Status"] == "running":
            time.sleep(0.01)
        time.sleep(0.1)  # whoever attends to it reads its exit code, as with the real ones
    for file in (STATE / name).iterdir():
        file.unlink()
    (STATE / name).rmdir()
    return 0


def ps(args: list[str]) -> int:
    """List containers by their labels."""
    flags, _ = parse("ps", args)
    wanted = dict(one.removeprefix("label=").split("=", 1) for one in flags["--filter"])
    for file in sorted(STATE.glob("*/state.json")):
        if wanted.items() <= load(file.parent.name)["labels"].items():
            print(file.parent.name)
    return 0


def info(args: list[str]) -> int:
    """Answer, if there is an engine."""
    parse("info", args)
    if not STATE.is_dir():
        raise Refused(1, "Cannot connect to the Docker daemon")
    return 0


def install(folder: Path) -> tuple[Path, Path]:
    """A program `docker` in the folder, and the folder of its state."""
    program, state = folder / "docker", folder / "engine"
    state.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -IS {__file__} "$@"\n')
    program.chmod(0o755)
    return program, state


def end_all(state: Path) -> None:
    """Leave nothing running, whoever asks."""
    for file in state.glob("*/state.json"):
        found = json.loads(file.read_text())
        if found["Status"] == "running":
            signal_group(found["pid"], signal.SIGKILL)


def main(command: str, args: list[str]) -> int:
    """Be the CLI once."""
    commands = {one.__name__: one for one in (run, inspect, kill, rm, ps, logs, info)}
    try:
        return commands[command](args)
    except Refused as refused:
        print(f"docker: {refused}", file=sys.stderr)
        print("\nRun 'docker run --help' for more information", file=sys.stderr)
        return refused.code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
