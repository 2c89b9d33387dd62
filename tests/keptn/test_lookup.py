"""What of ours has arrived: the controller's count first, else the datastore, else nobody knows."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import respx

from app.errors import Temporary
from app.events import parse
from app.keptn.api import Endpoint, KeptnApi
from app.keptn.lookup import Arrived, Unaskable, arrived
from app.outbound import Outbound
from tests.conftest import document, event

pytestmark = pytest.mark.asyncio(loop_scope="module")
BASE = "http://keptn.example"
EXECUTIONS = f"{BASE}/controlPlane/v1/sequence-execution"
STORED = f"{BASE}/mongodb-datastore/event"
ID = event().id


@pytest.fixture
def api(outbound: Outbound) -> Iterator[KeptnApi]:
    with respx.mock:
        yield KeptnApi(Endpoint(BASE, f"{BASE}/event", final=False), outbound)


def execution(current: str = "", events: Any = (), previous: Any = ()) -> dict[str, Any]:
    """The controller's view of a sequence."""
    task = {"triggeredID": current, "events": list(events)}
    return {"status": {"currentTask": task, "previousTasks": previous}}


def counted(kind: str, source: str = "firstmate") -> dict[str, str]:
    return {"eventType": f"sh.keptn.event.test.{kind}", "source": source}


def executions(*found: Any) -> None:
    respx.get(EXECUTIONS).respond(json={"sequenceExecutions": list(found)})


def stored(kind: str, number: int, **more: Any) -> list[dict[str, Any]]:
    """So many events of ours in the datastore."""
    one = {"triggeredid": ID, "source": "firstmate", "type": f"sh.keptn.event.test.{kind}"}
    return [{**one, **more} for _ in range(number)]


def datastore(started: list[Any], finished: list[Any], page: int = 100) -> None:
    """A datastore with these events, in pages."""

    def answer(request: httpx.Request) -> httpx.Response:
        asked = request.url.params
        found = started if asked["type"].endswith("started") else finished
        assert asked["source"] == "firstmate"
        first = int(asked["nextPageKey"])
        following = first + page
        key = {"nextPageKey": str(following)} if following < len(found) else {}
        return httpx.Response(200, json={"events": found[first:following]} | key)

    respx.get(STORED).mock(side_effect=answer)


def spoil(url: str, reply: int | str | None) -> None:
    """Let a status, a text or nothing come back."""
    match reply:
        case int():
            respx.get(url).respond(reply)
        case str():
            respx.get(url).respond(text=reply)
        case None:
            respx.get(url).mock(side_effect=httpx.ReadTimeout)


async def test_the_controllers_count_of_the_current_task_is_believed(api: KeptnApi) -> None:
    events = [counted("started"), counted("started"), counted("finished")]
    executions(execution("another"), execution(ID, [*events, counted("started", "other")]))
    assert await arrived(api, event(), "firstmate") == Arrived(2, 1)


async def test_a_task_among_the_previous_ones_waits_for_nothing_more(api: KeptnApi) -> None:
    executions(execution("next", previous=[{"triggeredID": ID}]))
    found = await arrived(api, event(), "firstmate")
    assert found.complete
    assert found.has("finished", 99)


async def test_the_datastore_is_asked_where_the_controller_knows_nothing(api: KeptnApi) -> None:
    executions(execution("another", previous=None), {"status": None}, None)
    datastore(stored("started", 1), [])
    assert await arrived(api, event(), "firstmate") == Arrived(1, 0)


@pytest.mark.parametrize("reply", [400, 404, 500, 503, "text", "[]", None])
async def test_the_datastore_is_asked_where_the_controller_cannot_say(
    api: KeptnApi, reply: int | str | None
) -> None:
    spoil(EXECUTIONS, reply)
    datastore(stored("started", 1), stored("finished", 1))
    assert await arrived(api, event(), "firstmate") == Arrived(1, 1)


async def test_the_datastore_is_read_to_its_last_page(api: KeptnApi) -> None:
    executions()
    foreign = stored("started", 4, triggeredid="another")
    datastore([*foreign, *stored("started", 3)], stored("finished", 2), page=2)
    assert await arrived(api, event(), "firstmate") == Arrived(3, 2)


@pytest.mark.parametrize("foreign", [{"source": "other"}, {"triggeredid": "another"}])
async def test_only_our_answers_to_this_event_count(api: KeptnApi, foreign: dict[str, str]) -> None:
    executions()
    datastore([*stored("started", 3, **foreign), None, "x"], stored("finished", 1))
    assert await arrived(api, event(), "firstmate") == Arrived(0, 1)


async def test_nothing_can_be_asked_where_both_are_missing(api: KeptnApi) -> None:
    respx.get(EXECUTIONS).respond(404)
    respx.get(STORED).respond(404)
    with pytest.raises(Unaskable):
        await arrived(api, event(), "firstmate")


async def test_nothing_can_be_asked_without_a_context(api: KeptnApi) -> None:
    with pytest.raises(Unaskable):
        await arrived(api, parse.read(document(shkeptncontext=None)), "firstmate")


@pytest.mark.parametrize(
    ("url", "reply"),
    [
        *((EXECUTIONS, status) for status in (401, 403, 429)),
        *((STORED, reply) for reply in (401, 403, 429, 500, 503, "text", "[]", None)),
    ],
)
async def test_a_failing_keptn_is_asked_again_later(
    api: KeptnApi, url: str, reply: int | str | None
) -> None:
    executions()
    datastore([], [])
    spoil(url, reply)
    with pytest.raises(Temporary):
        await arrived(api, event(), "firstmate")


async def test_a_kind_has_arrived_when_as_many_are_there() -> None:
    found = Arrived(started=1, finished=0)
    assert (found.has("started"), found.has("finished")) == (True, False)
    assert not found.has("started", 2)
    assert Arrived(0, 2).has("finished", 2)
