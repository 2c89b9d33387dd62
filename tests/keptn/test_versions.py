"""The versions of Keptn, 0.17 to 1.4.5, each through its API and through a distributor."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.captain import Captain, config
from tests.conftest import connection
from tests.ship import Ship
from tests.strict.client import StrictKeptn

VERSIONS = ["0.17.2", "0.18.2", "0.19.3", "1.0.0", "1.4.5"]


@pytest.fixture
def keptn(strict: StrictKeptn) -> Iterator[StrictKeptn]:
    yield strict
    strict.update("1.4.5")


def asked(captain: Captain, part: str, **only: str) -> list[str]:
    """The paths with this part that were asked for."""
    lookups = captain.keptn.state(**only)["lookups"]
    return [one["path"] for one in lookups if part in one["path"]]


@pytest.mark.parametrize("way", ["api", "sidecar"])
@pytest.mark.parametrize("version", VERSIONS)
async def test_each_version_is_answered_once_and_its_files_are_found(
    start: Callable[..., Ship], keptn: StrictKeptn, captain: Captain, version: str, way: str
) -> None:
    keptn.update(version)
    ship = start(**connection(keptn, way))
    captain.put(config("cat", "/keptn/a.txt", files=["a.txt"]))
    keptn.resource("planted", captain.project, "s", "svc", uri="a.txt")
    for _ in range(2):
        event = await captain.trigger(ship.door)
        await captain.wait(event)
        assert captain.counts(event) == (1, 1)
        assert captain.violations(event) == []
        assert captain.finished(event)["result"] == "pass"
        assert "planted" in captain.finished(event)["message"]
    older = f"/configuration-service/v1/project/{captain.project}"
    newer = f"/resource-service/v1/project/{captain.project}"
    if version == "0.17.2":
        assert len(asked(captain, newer)) == 1, "once to find out"
    else:
        assert not asked(captain, older)


@pytest.mark.parametrize("way", ["api", "sidecar"])
async def test_a_keptn_that_is_updated_is_found_again(
    start: Callable[..., Ship], keptn: StrictKeptn, captain: Captain, way: str
) -> None:
    ship = start(**connection(keptn, way))
    for version in ("0.17.2", "0.18.2", "1.4.5", "0.17.2"):
        keptn.update(version)
        captain.put(config("echo", version))
        event = await captain.trigger(ship.door)
        await captain.wait(event)
        assert version in captain.finished(event)["message"]


@pytest.mark.parametrize(("version", "times"), [("0.17.2", 0), ("1.4.5", 1)])
async def test_executions_are_asked_for_only_where_there_are_such(
    start: Callable[..., Ship], keptn: StrictKeptn, captain: Captain, version: str, times: int
) -> None:
    keptn.update(version)
    ship = start(**connection(keptn, "api"))
    captain.put(config("true"))
    captain.fault("accept_drop_reply", kind_of_event="started")
    event = await captain.trigger(ship.door)
    await captain.wait(event)
    assert captain.counts(event) == (1, 1)
    context = ship.run(event).context
    assert bool(asked(captain, "sequence-execution", context=context)) == bool(times)


def progress(captain: Captain, context: str) -> list[dict[str, Any]]:
    """The `status.changed` that Keptn stored for a context."""
    query = {"keptnContext": context, "type": "sh.keptn.event.test.status.changed"}
    found = captain.keptn.http.get("/mongodb-datastore/event", params=query).json()
    return list(found["events"])


@pytest.mark.parametrize(
    ("version", "way", "told"),
    [
        ("0.17.2", "api", True),
        ("0.18.2", "api", True),
        ("1.4.5", "api", False),
        ("0.17.2", "sidecar", True),
        ("1.4.5", "sidecar", True),
    ],
)
async def test_progress_is_told_where_keptn_takes_it(
    start: Callable[..., Ship],
    keptn: StrictKeptn,
    captain: Captain,
    version: str,
    way: str,
    told: bool,
) -> None:
    keptn.update(version)
    ship = start(**connection(keptn, way))
    captain.put(config("sh", "-c", "exit 1"))
    retried = config("sh", "-c", "exit 1", retries=2).replace('"v2"', '"firstmate/v1"')
    captain.put(retried)
    before = keptn.state()["requests"]["event"]
    event = await captain.trigger(ship.door)
    await captain.wait(event)
    found = progress(captain, ship.run(event).context)
    assert bool(found) == told
    assert captain.counts(event) == (1, 1)
    assert captain.violations(event) == []
    if told:
        assert "tried again" in found[-1]["data"]["message"]
        assert {one["triggeredid"] for one in found} == {event}
    else:
        assert keptn.state()["requests"]["event"] - before == 3, "one attempt, never again"
