"""The tests' side of the double in its own process: starts it, gives it orders, asks what it saw.

It decides nothing; every method is one request.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from tests.closing import Closing

ROOT = Path(__file__).parents[2]


class RemoteKube:
    """One cluster; threads may share it. `control` is where it takes orders."""

    def __init__(self, http: httpx.Client, opened: dict[str, Any]) -> None:
        self._http = http
        self.url = str(opened["url"])
        self.token = str(opened["token"])
        self.control = f"{str(http.base_url).rstrip('/')}/clusters/{opened['number']}"

    def order(self, order: str, **given: Any) -> None:
        """One of `play`, `secret`, `weather` and `kill`; what they take, the host says."""
        self._http.post(f"{self.control}/{order}", json=given).raise_for_status()

    def report(self, *, said: bool = False) -> dict[str, Any]:
        """What it counted; with all that could be read of it, if asked for."""
        query = {"said": "1"} if said else {}
        reply = self._http.get(self.control, params=query).raise_for_status()
        return dict(reply.json())

    def account(self, folder: Path, namespace: str = "jobs") -> dict[str, str]:
        """The settings of a service of this cluster, with its account below a folder."""
        folder.mkdir()
        (folder / "token").write_text(self.token)
        (folder / "namespace").write_text(namespace)
        return {
            "RUNNER": "kubernetes",
            "KUBERNETES_API_URL": self.url,
            "SERVICE_ACCOUNT_PATH": str(folder),
            "INIT_CONTAINER_IMAGE": "firstmate:test",
        }

    def close(self) -> None:
        """End it, with all that runs in it."""
        self._http.delete(self.control).raise_for_status()


class KubeHost(Closing):
    """A process with any number of clusters in it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.kube.host"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout
        address = self._process.stdout.readline().strip()
        self._http = httpx.Client(base_url=address, timeout=60, trust_env=False)

    def cluster(self, *, validating: bool = True) -> RemoteKube:
        """A new cluster, which checks every object unless told otherwise."""
        reply = self._http.post("/clusters", json={"validating": validating})
        return RemoteKube(self._http, reply.raise_for_status().json())

    def close(self) -> None:
        """End it, and everything that runs in it, in good order."""
        self._http.close()
        self._process.communicate()
