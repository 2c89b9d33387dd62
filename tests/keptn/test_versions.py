"""The versions of Keptn, 0.17 to 1.4.5, each through its API and through a distributor."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.core import Core
from app.ledger import rows
from app.ledger.rows import Letter, Run
from app.running import LONG_SECONDS
from tests.captain import Captain, config
from tests.clocks import FastClock
from tests.conftest import connection, event
from tests.ship import Ship, eventually
from tests.strict.client import StrictKeptn

VERSIONS = [
    *(pytest.param(one, marks=pytest.mark.slow) for one in ("0.17.2", "0.18.2", "0.19.3", "1.0.0")),
    "1.4.5",  # behind a sidecar it is the one way through the whole service that `make fast` goes
]


@pytest.fixture
def keptn(strict: StrictKeptn) -> Iterator[StrictKeptn]:
    yield strict
    strict.update("1.4.5")


def asked(captain: Captain, part: str, **only: str) -> list[str]:
    """The paths with this part that were asked for."""
    lookups = captain.keptn.state(**only)["lookups"]
    return [one["path"] for one in lookups if part in one["path"]]


@pytest.mark.parametrize("way", [pytest.param("api", marks=pytest.mark.slow), "sidecar"])
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
        assert len(asked(captain, newer)) == 2, "once to find out, in both ways"
    else:
        assert not asked(captain, older)


@pytest.mark.slow
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


@pytest.mark.slow
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


def ours(text: str) -> str:
    """The config with leave to use our own keys."""
    return text.replace('"v2"', '"firstmate/v1"')


def progress(captain: Captain, context: str) -> list[dict[str, Any]]:
    """The `status.changed` that Keptn stored for a context."""
    query = {"keptnContext": context, "type": "sh.keptn.event.test.status.changed"}
    found = captain.keptn.http.get("/mongodb-datastore/event", params=query).json()
    return list(found["events"])


@pytest.mark.slow
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
    captain.put(ours(config("sh", "-c", "exit 1", retries=2)))
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
        assert keptn.state()["requests"]["event"] == 3, "one attempt, never again"


@pytest.mark.slow
async def test_a_distributor_far_from_keptn_is_not_told_of_progress_again(
    start: Callable[..., Ship],
) -> None:
    with StrictKeptn(pace=0.05, remote=True) as remote:
        captain = Captain(remote)
        ship = start(**connection(remote, "sidecar"))
        captain.put(ours(config("sh", "-c", "exit 1", retries=2)))
        triggered = await captain.trigger(ship.door)
        await captain.wait(triggered)
        assert captain.counts(triggered) == (1, 1)
        assert remote.state()["requests"]["event"] == 3, "started, progress, finished"


@pytest.mark.slow
async def test_who_waits_for_a_slot_says_so_and_again_when_it_is_launched(
    start: Callable[..., Ship],
    strict: StrictKeptn,
    captain: Captain,
    clock: FastClock,
    tmp_path: Path,
) -> None:
    ship = start(**connection(strict, "sidecar"), max_running=1)
    script = "mkdir a && gate=a/go || gate=go; while [ ! -e $gate ]; do sleep 0.05; done"
    captain.put(config("sh", "-c", f"cd {tmp_path}; {script}"))
    first = await captain.trigger(ship.door)
    await captain.wait(first, "started")
    await eventually((tmp_path / "a").exists)
    clock.skip(10)
    second = await captain.trigger(ship.door)
    await captain.wait(second, "started")
    for number, gate in enumerate(("a/go", "go"), start=1):
        await eventually(
            lambda number=number: len(progress(captain, ship.run(second).context)) == number
        )
        clock.skip(LONG_SECONDS)
        (tmp_path / gate).touch()
    await captain.wait(second)
    found = progress(captain, ship.run(second).context)
    told = [one["data"]["message"] for one in reversed(found)]
    assert [text.split(" ")[0] for text in told] == ["Waiting", "Task"]
    assert captain.counts(second) == (1, 1)


async def test_progress_of_many_runs_is_told_once_a_second(core: Core, clock: FastClock) -> None:
    core.lifecycle.clock = standing = StandingClock()
    runs = [await started(core, str(number)) for number in range(20)]
    for seconds in (0.0, 0.9, 1.0, -500.0, 1.0):
        standing.skip(seconds)
        for run in runs:
            await core.lifecycle.tell(run, "planted")
    told = [one for run in runs for one in letters(core, run) if one.kind == "changed"]
    assert len(told) == 4


async def test_a_run_that_keptn_has_not_heard_of_tells_nothing(core: Core) -> None:
    _, number = await core.lifecycle.accept(event())
    run = rows.run(core.ledger.reader, number or 0)
    await core.lifecycle.plan(run, "{}", answered=False)
    await core.lifecycle.tell(run, "planted")
    assert not letters(core, run)


class StandingClock(FastClock):
    """A clock that only moves when told to."""

    def __init__(self) -> None:
        super().__init__(speed=0.0)


async def started(core: Core, event_id: str) -> Run:
    """A run that Keptn is told the `started` of."""
    _, number = await core.lifecycle.accept(event(id=event_id))
    run = rows.run(core.ledger.reader, number or 0)
    await core.lifecycle.plan(run, "{}", answered=True)
    return run


def letters(core: Core, run: Run) -> list[Letter]:
    return rows.letters(core.ledger.reader, run.id)
