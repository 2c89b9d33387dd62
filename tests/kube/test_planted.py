"""A user's Secret, from its name in a job config to a pod's environment: it is nowhere else."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.captain import Captain, config
from tests.clocks import FastClock
from tests.conftest import connection
from tests.kube.client import KubeHost
from tests.ship import Ship

pytestmark = pytest.mark.slow

WORD = "planted-password-of-a-team"


async def test_a_secret_is_nowhere_but_in_its_pod(
    start: Callable[..., Ship],
    captain: Captain,
    clock: FastClock,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    word = "$$(printf %s-%s planted password-of-a-team)"
    command = f'test "$$PASSWORD" = {word} && echo it is right; exit 3'
    secret: Any = {"name": "database", "valueFrom": "secret"}
    captain.put(config("sh", "-c", command, env=[secret], files=["job/config.yaml"]))
    with KubeHost() as host:
        cluster = host.cluster()
        cluster.order("secret", name="database", PASSWORD=WORD)
        account = cluster.account(tmp_path / "account")
        settings: Any = {name.lower(): value for name, value in account.items()}
        ship = start(**settings, **connection(captain.keptn, "sidecar"))
        event_id = await captain.trigger(ship.door)
        assert (await captain.wait(event_id))["finished"] == 1
        report = await asyncio.to_thread(cluster.report, said=True)
        await ship.stop()
    answers = repr(captain.keptn.task(event_id)["events"])
    assert "it is right" in answers, "the pod had it"
    files = [one for one in (tmp_path / "data").rglob("*") if one.is_file()]
    places = {str(one): one.read_text("latin-1") for one in files}
    places |= {"answers": answers, "cluster": report["said"], "log": caplog.text}
    words = (WORD, cluster.token)
    assert not [(place, word) for place in places for word in words if word in places[place]]
    assert not [right for right in report["calls"] if "secrets" in right]
