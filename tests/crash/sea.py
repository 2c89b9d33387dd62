"""The cluster of a round, and what is to be counted in it when the round is over.

What a round is stands in `matrix.py`, and what may befall a cluster in `tests.kube.weather`.
"""

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.kube.client import KubeHost

if TYPE_CHECKING:
    from tests.crash.matrix import Result

PLANTED = "planted-secret-of-a-user"
CARGO = """
        env: [{name: planted, valueFrom: secret}]"""
"""What a task asks for in a cluster in addition: a Secret, whose value is PLANTED."""

LASTS = {"outage of 30 s": 30.0}
"""Weather that takes long, in seconds."""

SETTLED = 5.0
"""Seconds within which a Job whose end was told is over in the cluster's own books."""


class Sea:
    """A cluster in some weather."""

    def __init__(self, host: KubeHost, weather: str) -> None:
        self.cluster = host.cluster()
        self.cluster.order("secret", name="planted", PASSWORD=PLANTED)
        if weather:
            self.cluster.order("weather", course=weather)

    def judge(self, result: "Result", traces: str) -> "Result":
        """The result with what is to be found here; `traces` are what the services left."""
        self._settle()
        report = self.cluster.report(said=True)
        places = {"services": traces, "cluster": report["said"], "answers": result.note}
        words = (PLANTED, self.cluster.token)
        leaks = [f"{word} in {one}" for one in places for word in words if word in places[one]]
        twice = _repeated(report["made"]) + _repeated(report["launched"])
        return replace(
            result,
            launched_twice=result.launched_twice + twice,
            orphans=len(report["running"]),
            leaks=len(leaks),
            note=f"{leaks} {report | {'said': ''}}\n{result.note}",
        )

    def _settle(self) -> None:
        until = time.monotonic() + SETTLED
        while self.cluster.report()["running"] and time.monotonic() < until:
            time.sleep(0.05)


def _repeated(names: Iterable[str]) -> int:
    return sum(number - 1 for number in Counter(names).values())
