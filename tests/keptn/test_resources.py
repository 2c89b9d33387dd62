"""Resources cost few requests: what is asked for once, what is asked again, and what is shared."""

import asyncio

import pytest

from app.clock import Clock
from app.errors import Permanent, Temporary
from app.events.parse import Event
from app.keptn import resources
from app.keptn.api import Endpoint, KeptnApi
from app.keptn.resources import FRESH_SECONDS, SHARED_SECONDS, Patient, Resources
from app.outbound import NotSent, Outbound, Refused
from app.planning import Ignore, Planner
from tests.captain import Captain, config
from tests.conftest import event
from tests.ship import eventually
from tests.tasks.shelf import Shelf
from tests.test_planning import run_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
EVENT = event()
FILE = ("service", "a", "c1c1c1c1")


class StillClock(Clock):
    """A clock that moves only when told to, and when somebody sleeps."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.slept: list[float] = []

    def tick(self) -> float:
        return self.passed

    def jitter(self) -> float:
        return 1.0

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.passed += seconds


@pytest.fixture
def still() -> StillClock:
    return StillClock()


@pytest.fixture
def shelf() -> Shelf:
    return Shelf({("service", "a"): b"A", ("stage", "a"): b"AA", ("project", "a"): b"AAA"})


@pytest.fixture
def cached(shelf: Shelf, still: StillClock) -> Resources:
    return Resources(shelf, still)


async def asked(shelf: Shelf) -> None:
    """Until a question has come through to the shelf, and all who asked before wait for it."""
    await eventually(lambda: bool(shelf.asked))


def of(**scope: str) -> Event:
    """An event of another project, stage or service."""
    return event(data={"project": "p", "stage": "s", "service": "svc", **scope})


@pytest.mark.parametrize("level", ["service", "stage"])
@pytest.mark.parametrize("uri", ["a", "none"])
async def test_what_a_commit_holds_and_what_it_lacks_is_asked_for_once(
    cached: Resources, shelf: Shelf, still: StillClock, level: str, uri: str
) -> None:
    found = await cached.read(EVENT, uri, level, "c1c1c1c1")
    assert (found is None) == (uri == "none")
    still.passed += 1e9
    assert await cached.read(EVENT, uri, level, "c1c1c1c1") == found
    assert shelf.asked == {(level, uri, "c1c1c1c1"): 1}


@pytest.mark.parametrize("name", ["main", "v1.0", "c1c1c1"])
async def test_a_name_that_may_move_is_no_commit(
    cached: Resources, shelf: Shelf, name: str
) -> None:
    for number in (0, 1, 1):
        await cached.read(event(id=f"{number}"), "a", "service", name)
    assert shelf.asked == {("service", "a", name): 2}


async def test_another_commit_project_stage_or_service_is_another_file(
    cached: Resources, shelf: Shelf
) -> None:
    for scope in ({}, {"project": "q"}, {"stage": "q"}, {"service": "q"}):
        await cached.read(of(**scope), "a", "service", "c1c1c1c1")
    await cached.read(EVENT, "a", "service", "c2c2c2c2")
    await cached.read(EVENT, "b", "service", "c1c1c1c1")
    assert sum(shelf.asked.values()) == 6


async def test_services_share_the_files_of_their_stage_and_stages_those_of_their_project(
    cached: Resources, shelf: Shelf
) -> None:
    for number in range(5):
        await cached.read(of(service=f"svc{number}"), "a", "stage", "c1c1c1c1")
        await cached.read(of(stage=f"s{number}"), "a", "project", "c1c1c1c1")
    assert shelf.asked == {("stage", "a", "c1c1c1c1"): 1, ("project", "a", ""): 1}


async def test_names_that_look_alike_when_joined_are_told_apart(
    cached: Resources, shelf: Shelf
) -> None:
    await cached.read(of(stage="s/svc", service="x"), "a", "service", "")
    await cached.read(of(stage="s", service="svc/x"), "a", "service", "")
    assert shelf.asked == {("service", "a", ""): 2}


@pytest.mark.parametrize("level", ["service", "stage", "project"])
@pytest.mark.parametrize("uri", ["a", "none"])
async def test_without_a_commit_an_answer_is_for_one_event_and_ten_seconds_old_at_most(
    cached: Resources, shelf: Shelf, still: StillClock, level: str, uri: str
) -> None:
    await cached.read(EVENT, uri, level, "")
    still.passed += FRESH_SECONDS - 0.1
    await cached.read(EVENT, uri, level, "")
    assert shelf.asked == {(level, uri, ""): 1}
    shelf.files[level, uri] = b"new"
    for asking in (event(id="another"), EVENT):
        found = await cached.read(asking, uri, level, "")
        assert found is not None
        assert found.content == b"new"
        still.passed += 0.1


async def test_a_projects_file_is_shared_for_a_moment_by_events_with_a_commit(
    cached: Resources, shelf: Shelf, still: StillClock
) -> None:
    for number in range(3):
        await cached.read(event(id=f"{number}"), "a", "project", "c1c1c1c1")
    assert shelf.asked == {("project", "a", ""): 1}
    still.passed += SHARED_SECONDS
    await cached.read(EVENT, "a", "project", "c1c1c1c1")
    assert shelf.asked == {("project", "a", ""): 2}


async def test_a_projects_file_is_asked_for_by_each_event_where_that_costs_nothing(
    shelf: Shelf, still: StillClock
) -> None:
    cached = Resources(shelf, still, shared=0.0)
    for number in (0, 1, 1):
        await cached.read(event(id=f"{number}"), "a", "project", "c1c1c1c1")
    assert shelf.asked == {("project", "a", ""): 2}


async def test_an_answer_that_took_long_is_as_old_as_its_question(
    cached: Resources, shelf: Shelf, still: StillClock
) -> None:
    shelf.open.clear()
    asking = asyncio.create_task(cached.read(EVENT, "a", "stage", ""))
    await asked(shelf)
    still.passed += FRESH_SECONDS
    shelf.open.set()
    await asking
    await cached.read(EVENT, "a", "stage", "")
    assert shelf.asked["stage", "a", ""] == 2


async def test_a_list_is_remembered_for_ten_seconds(
    cached: Resources, shelf: Shelf, still: StillClock
) -> None:
    for _ in range(3):
        assert await cached.listed(EVENT, "service") == ["a"]
    assert shelf.asked == {("service",): 1}
    still.passed += FRESH_SECONDS
    await cached.listed(EVENT, "service")
    assert shelf.asked == {("service",): 2}


async def test_those_who_ask_at_once_share_one_request(cached: Resources, shelf: Shelf) -> None:
    shelf.open.clear()
    asking = [
        asyncio.create_task(cached.read(EVENT, "a", "service", "c1c1c1c1")) for _ in range(50)
    ]
    await asked(shelf)
    shelf.open.set()
    found = await asyncio.gather(*asking)
    assert {one.content for one in found if one} == {b"A"}
    assert shelf.asked == {FILE: 1}


async def test_one_who_gives_up_does_not_take_the_answer_from_the_others(
    cached: Resources, shelf: Shelf
) -> None:
    shelf.open.clear()
    first, second = (
        asyncio.create_task(cached.read(EVENT, *FILE[1::-1], "c1c1c1c1")) for _ in range(2)
    )
    await asked(shelf)
    first.cancel()
    await asyncio.wait([first])
    shelf.open.set()
    assert await second
    assert first.cancelled()
    assert shelf.asked == {FILE: 1}


async def test_an_error_reaches_all_who_asked_and_is_forgotten(
    cached: Resources, shelf: Shelf
) -> None:
    shelf.open.clear()
    shelf.faults = [NotSent("away")]
    asking = [asyncio.create_task(cached.read(EVENT, "a", "service", "c1c1c1c1")) for _ in range(3)]
    await asked(shelf)
    shelf.open.set()
    results = await asyncio.gather(*asking, return_exceptions=True)
    assert all(isinstance(one, NotSent) for one in results)
    assert await cached.read(EVENT, "a", "service", "c1c1c1c1")
    assert shelf.asked == {FILE: 2}


async def test_an_error_that_nobody_waits_for_any_more_is_no_noise(
    cached: Resources, shelf: Shelf, caplog: pytest.LogCaptureFixture
) -> None:
    shelf.open.clear()
    shelf.faults = [NotSent("away")]
    asking = asyncio.create_task(cached.read(EVENT, "a", "service", "c1c1c1c1"))
    await asked(shelf)
    asking.cancel()
    shelf.open.set()
    await asyncio.sleep(0.01)
    assert caplog.records == []


async def test_memory_is_bounded_and_what_was_used_longest_ago_goes_first(
    cached: Resources, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "MEMORY_BYTES", 10 * (resources.ENTRY_BYTES + 1000))
    shelf.files = {("service", str(number)): bytes(950) for number in range(11)}
    for number in range(10):
        await cached.read(EVENT, str(number), "service", "c1c1c1c1")
    await cached.read(EVENT, "0", "service", "c1c1c1c1")
    await cached.read(EVENT, "10", "service", "c1c1c1c1")
    assert cached._size <= resources.MEMORY_BYTES
    shelf.asked.clear()
    for number in (0, 10, 2, 1):
        await cached.read(EVENT, str(number), "service", "c1c1c1c1")
    assert shelf.asked == {("service", "1", "c1c1c1c1"): 1}


async def test_what_is_not_there_takes_memory_too(
    cached: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "MEMORY_BYTES", 100 * resources.ENTRY_BYTES)
    for number in range(200):
        await cached.read(EVENT, "none", "service", f"{number}")
    assert len(cached._kept) < 100


async def test_a_huge_file_is_not_remembered(
    cached: Resources, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "LARGEST_BYTES", 5000)
    shelf.files["service", "huge"] = bytes(5000)
    await cached.read(EVENT, "a", "service", "c1c1c1c1")
    for _ in range(2):
        await cached.read(EVENT, "huge", "service", "c1c1c1c1")
    await cached.read(EVENT, "a", "service", "c1c1c1c1")
    assert shelf.asked == {FILE: 1, ("service", "huge", "c1c1c1c1"): 2}


async def test_the_patient_ask_again_with_growing_pauses(shelf: Shelf, still: StillClock) -> None:
    shelf.faults = [Temporary("away") for _ in range(8)]
    assert await Patient(shelf, still).read(EVENT, "a", "service", "c1c1c1c1")
    assert still.slept == [0.5, 1, 2, 4, 8, 15, 15, 15]
    shelf.faults = [Temporary("come later", after=60)]
    assert await Patient(shelf, still).listed(EVENT, "service")
    assert still.slept[-1] == 60


async def test_the_patient_give_up_after_nine_minutes(shelf: Shelf, still: StillClock) -> None:
    shelf.faults = [Temporary("keptn:80 /x: status 503") for _ in range(100)]
    with pytest.raises(Permanent, match=r"^asked for 540 s: keptn:80 /x: status 503$"):
        await Patient(shelf, still).read(EVENT, "a", "service", "c1c1c1c1")
    assert 540 < still.passed < 560


async def test_the_patient_do_not_ask_again_what_is_refused(
    shelf: Shelf, still: StillClock
) -> None:
    shelf.faults = [Refused("status 400", 400)]
    with pytest.raises(Refused):
        await Patient(shelf, still).read(EVENT, "a", "service", "c1c1c1c1")
    assert sum(shelf.asked.values()) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("level", "requests"), [("service", 1), ("stage", 2), ("project", 3), ("none", 3)]
)
async def test_a_thousand_foreign_events_cost_as_many_requests_as_there_are_levels(
    captain: Captain, outbound: Outbound, level: str, requests: int
) -> None:
    places = {"service": ("s", "svc"), "stage": ("s", ""), "project": ("", ""), "none": ("x", "")}
    commit = captain.put(config("true", task="other"), *places[level])
    captain.keptn.resource("", captain.project, "s", "svc", uri="notes", commit=commit)
    base = captain.keptn.sidecar_url
    clock = StillClock()
    api = KeptnApi(Endpoint(base, f"{base}/event", final=False), outbound)
    planner = Planner(api, Resources(api, clock), clock, ())
    scope = {"project": captain.project, "stage": "s", "service": "svc"}
    more = {"gitcommitid": commit}
    before = asked_for(captain)
    runs = [run_of(event(id=f"{number}", data=scope, **more), clock) for number in range(1000)]
    found = await asyncio.gather(*(planner.decide(run, ask_first=False) for run in runs[:500]))
    found += [await planner.decide(run, ask_first=False) for run in runs[500:]]
    assert all(isinstance(one, Ignore) for one in found)
    assert asked_for(captain) - before == requests


def asked_for(captain: Captain) -> int:
    """How often the strict Keptn was asked for a resource, by anybody."""
    return int(captain.keptn.state()["requests"].get("resource", 0))
