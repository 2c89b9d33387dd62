"""The image, made once, and the service's pod, started from it as the manifest says."""

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import Popen

import certifi
import httpx
import pytest

from app.ledger import guard
from tests.deploy import box, dockerfile, manifests

TOKEN = "planted-token"
VOLUMES = {
    "files": manifests.find("ConfigMap", file="configuration.yaml")["data"],
    "token": {"token": TOKEN, "ca.crt": Path(certifi.where()).read_text(), "namespace": "keptn"},
}


class Pod:
    """The container `firstmate` of the Deployment, running; `more` changes its environment."""

    def __init__(self, image: Path, folder: Path, **more: str) -> None:
        self.data = folder / "data"
        made = dockerfile.box(image)
        for path, volume in manifests.mounts():
            place = folder / volume["name"]
            place.mkdir(parents=True, exist_ok=True)
            for name, text in VOLUMES.get(volume["name"], {}).items():
                (place / name).write_text(text)
            kind = "rw" if volume.keys() & {"persistentVolumeClaim", "emptyDir"} else "ro"
            made.mount(kind, place, path)
        settings = manifests.find("ConfigMap", "firstmate-settings", "configuration.yaml")["data"]
        ours = manifests.environment("firstmate")
        away = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": closed_port()}
        free = {"PORT": "0", "OPS_PORT": "0"}
        self.process: Popen[str] = made.start(
            ["firstmate", *manifests.container()["args"]],
            {**dockerfile.running(), **settings, **ours, **away, **free, **more},
            manifests.pod()["securityContext"]["runAsUser"],
        )

    def wait_until_started(self) -> None:
        """Until the startup probe is answered."""
        probe = manifests.container()["startupProbe"]
        until = time.monotonic() + probe["periodSeconds"] * probe["failureThreshold"]
        while self.probe("startup") != 200:
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < until
            time.sleep(0.1)

    def probe(self, kind: str) -> int:
        """The status of a probe's answer; 0 without one."""
        path = manifests.container()[f"{kind}Probe"]["httpGet"]["path"]
        ops = guard.read_holder(self.data).get("ops")
        try:
            return httpx.get(f"{ops}{path}", trust_env=False).status_code if ops else 0
        except httpx.TransportError:
            return 0

    @property
    def door(self) -> str:
        """Where the sidecar pushes events to."""
        return f"{guard.read_holder(self.data)['door']}/"

    def figures(self) -> dict[str, float]:
        """The metrics as they are now."""
        text = httpx.get(f"{guard.read_holder(self.data)['ops']}/metrics", trust_env=False).text
        lines = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, value in lines}

    def said(self) -> str:
        """All that it printed, once it has ended."""
        assert self.process.stdout
        return self.process.stdout.read()


def closed_port() -> str:
    """A port of this machine where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return str(taken.getsockname()[1])


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if why := box.refusal():
        pytest.skip(why)
    return dockerfile.build(tmp_path_factory.mktemp("image"))


@pytest.fixture
def run(image: Path, tmp_path: Path) -> Iterator[Callable[..., Pod]]:
    """Starts pods on one volume, one after the other, and leaves none of them."""
    pods: list[Pod] = []

    def start(**more: str) -> Pod:
        pods.append(Pod(image, tmp_path, **more))
        return pods[-1]

    yield start
    for pod in pods:
        pod.process.kill()
        pod.process.wait()
        assert pod.process.stdout
        pod.process.stdout.close()
