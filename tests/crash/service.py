"""One data folder and the services that live on it, one after the other; nothing is judged here."""

import contextlib
import json
import multiprocessing
import os
import socket
import sqlite3
import time
from dataclasses import asdict
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import httpx

from app.ledger import guard
from tests.crash import killing, start
from tests.crash.killing import Kill
from tests.engines import stand_in
from tests.kube.client import RemoteKube

_FORKING = multiprocessing.get_context("forkserver")
# A second saved at every start.
_FORKING.set_forkserver_preload(["tests.crash.start", "app.engines.kubernetes.engine"])
_UNSETTLED = (
    "SELECT (SELECT count(*) FROM outbox WHERE state IN ('ready', 'sending', 'sent'))"
    " + (SELECT count(*) FROM runs WHERE state IN ('received', 'planned', 'running'))"
)
_SURPLUS = "SELECT coalesce(sum(owed - 1), 0) FROM runs"


_ROUTES = """
apiVersion: firstmate/v1
channels: [{{name: chat, urlFrom: {{file: {file}}}}}]
routes: [{{channels: [chat]}}]
"""


class Service:
    """Starts, kills and looks into services of one data folder, all behind the same door.

    All that its sequence comes to is told to a `channel`, which has a URL. Its Jobs, if it is to
    make any, are in the `cluster`.
    """

    def __init__(
        self, folder: Path, engine: str, channel: str, cluster: RemoteKube | None = None
    ) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.environment: dict[str, str] = {}
        docker, self._containers = stand_in.install(folder)
        (folder / "channel").write_text(channel)
        (folder / "routes.yaml").write_text(_ROUTES.format(file=folder / "channel"))
        self._place = {
            "DATA_DIR": str(self.data_dir),
            "PATH": os.environ["PATH"],
            "RUNNER": engine,
            "CONTAINER_CLI": str(docker),
            "DOCKER_HOST": f"unix://{self._containers}",
            "ROUTES_FILE": str(folder / "routes.yaml"),
        }
        if cluster:
            account = cluster.account(folder / "account")
            self._place |= {**account, "CLUSTER_CONTROL": cluster.control}
        # A bound socket that never listens keeps the port ours between two services.
        self._keeper = socket.socket()
        self._keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._keeper.bind(("127.0.0.1", 0))
        self._port = str(self._keeper.getsockname()[1])
        self.door = f"http://127.0.0.1:{self._port}/"
        self._process: ForkServerProcess | None = None

    def start(self, kill: Kill | None = None) -> bool:
        """Start a service, armed or not; whether it lived to listen."""
        (self.data_dir / killing.ORDER).unlink(missing_ok=True)
        (self._containers / stand_in.ORDER).unlink(missing_ok=True)
        ports = {"PORT": self._port, "OPS_PORT": "0", "PLANE_PORT": "0"}
        order = {"CRASH": json.dumps(asdict(kill))} if kill else {}
        environment = {**self._place, **ports, **order, **self.environment}
        listening, told = _FORKING.Pipe(duplex=False)
        self._process = _FORKING.Process(target=start.serve, args=(environment, self.folder, told))
        self._process.start()
        told.close()
        with listening:
            try:
                return bool(listening.recv())
            except EOFError:
                self._process.join()
                return False

    @property
    def alive(self) -> bool:
        """Whether a service runs."""
        return self._process is not None and self._process.is_alive()

    @property
    def place(self) -> dict[str, str]:
        """Where the service says that it listens."""
        return guard.read_holder(self.data_dir)

    def kill(self, *, children: bool = False) -> None:
        """End the service from outside, perhaps with all that it started."""
        assert self._process
        self._process.kill()
        self._process.join()
        if children:
            killing.kill_children(self.data_dir)

    def doubtful(self) -> int:
        """How many messages this service, or one before it, had to send in doubt."""
        lines = self._figures().splitlines()
        counted = [line.split()[1] for line in lines if line.startswith("firstmate_doubtful_total")]
        return max(round(sum(map(float, counted))), self._ask(_SURPLUS))

    def await_broker(self) -> None:
        """Wait until events come over NATS, or the service is dead."""
        with contextlib.suppress(httpx.TransportError):
            while "nats_connected 1.0" not in self._figures():
                time.sleep(0.02)

    def has_saved_exit(self, task: int) -> bool:
        """Whether the supervisor saw the end of a task of the only action."""
        return any((self.data_dir / "jobs").glob(f"*-000-{task:03d}/exit.json"))

    def await_quiet(self, seconds: float) -> bool:
        """Whether within that time everything in the ledger is settled."""
        until = time.monotonic() + seconds
        while self._ask(_UNSETTLED):
            if time.monotonic() > until:
                return False
            time.sleep(0.02)
        return True

    def log(self) -> str:
        """All that the services had to say."""
        return (self.folder / "service.log").read_text()

    def traces(self) -> str:
        """All that the services have left on disk, their words included."""
        files = [file for file in self.data_dir.rglob("*") if file.is_file()]
        return self.log() + "".join(file.read_text("latin-1") for file in files)

    def close(self) -> None:
        """Leave nothing running."""
        if self._process:
            self.kill(children=True)
            self._process.close()
        stand_in.end_all(self._containers)
        self._keeper.close()

    def _figures(self) -> str:
        return httpx.get(f"{self.place['ops']}/metrics", trust_env=False).text

    def _ask(self, sql: str) -> int:
        address = f"file:{self.data_dir}/ledger.db?mode=ro"
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=10)) as ledger:
            return int(ledger.execute(sql).fetchone()[0])
