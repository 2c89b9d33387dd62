"""Whole lives whose work is a Kubernetes Job: event in to `finished` out, beside the pods' time.

The Keptn is a quick one; the cluster is the tests' double, in a process of its own.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.bench.lifecycles import TOKEN, drive
from tests.bench.processes import Program, places, service
from tests.bench.quick_keptn import Order
from tests.bench.table import Aim, Figure, percentile
from tests.captain import config, document
from tests.kube.client import KubeHost, RemoteKube

JOBS, JOB_SECONDS, TURN = 500, (5.0, 15.0), 4.0
"""All are ordered within a turn, so that each runs beside all others."""

POD_START = 0.5
TASKS = 4
CONDITION_AFTER = 0.05
"""Seconds from a container's end to its Job's condition; we need not wait for the second."""

ACTION = document(
    {"name": "Act", "events": [{"name": "sh.keptn.event.test.triggered"}]}
    | {"tasks": [{"name": f"T{number}", "image": "trivial"} for number in range(TASKS)]}
)


def measure(folder: Path) -> list[Figure]:
    """The figures of lives in a cluster."""
    with (
        KubeHost() as host,
        Program("-m", "tests.bench.quick_keptn", log=folder / "k.log") as keptn,
    ):
        cluster = host.cluster(validating=False)
        pods = {"starts_in": POD_START, "condition_after": CONDITION_AFTER}
        cluster.order("play", image="trivial", **pods)
        cluster.order("play", image="alpine", seconds_in="LABELS_SECONDS", tells_time=True, **pods)
        with _connected(folder / "action", keptn, cluster) as door:
            action = drive(keptn, Order(door, ACTION, 1, 0.01))
        with _connected(folder / "jobs", keptn, cluster) as door:
            before = sum(cluster.report()["calls"].values())
            lives = drive(keptn, Order(door, config("true"), JOBS, TURN, JOB_SECONDS))
            calls = sum(cluster.report()["calls"].values()) - before
    late = [life["finished"] - life["ended"] for life in lives]
    name, pods_alone = f"container's end -> finished, {JOBS} Jobs", f"{TASKS} pods' start"
    took = action[0]["finished"] - action[0]["pushed"]
    alone = TASKS * POD_START
    return [
        Figure(f"{name}, p50", percentile(late, 50) * 1000, "ms"),
        Figure(f"{name}, p99", percentile(late, 99) * 1000, "ms", aim=Aim(300)),
        Figure("API calls for each Job", calls / len(lives), "", note=f"{len(lives)} Jobs"),
        Figure(f"action of {TASKS} trivial tasks", took, "s", pods_alone, alone, Aim(alone + 0.5)),
    ]


@contextlib.contextmanager
def _connected(folder: Path, keptn: Program, cluster: RemoteKube) -> Iterator[str]:
    """The door of a new service that makes Jobs in this cluster and answers this Keptn."""
    api = {"KEPTN_API_ENDPOINT": f"{keptn.said}/api", "KEPTN_API_TOKEN": TOKEN}
    folder.mkdir()
    with service(folder / "data", **api, **cluster.account(folder / "account")):
        yield places(folder / "data")["door"]
