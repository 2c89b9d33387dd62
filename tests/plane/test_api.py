"""The plane's routes: codes, forms and filters of Keptn's APIs, and who is let in."""

import json
from typing import Any

import httpx
import pytest

from app.plane.house import Plane
from tests.plane.keptn import Client, VirtualClock, client_of

pytestmark = pytest.mark.slow

EVENT = "/api/v1/event"
EVENTS = "/api/mongodb-datastore/event"
ROUTES = (EVENTS, "/api/v1/metadata", "/api/controlPlane/v1/log", "/api/controlPlane/v1/sequence/p")


async def refusal(answer: httpx.Response) -> tuple[int, str]:
    body = answer.json()
    assert body["code"] == answer.status_code
    return body["code"], body["message"]


@pytest.mark.parametrize("path", ROUTES)
async def test_without_the_token_nothing_is_told(
    keptn: Client, path: str, clock: VirtualClock
) -> None:
    for token in ("", "wrong", "tökén".encode("latin-1").decode("latin-1")):
        headers = {"x-token": token.encode()}
        answer = await keptn.http.get(path, headers=headers)  # type: ignore[arg-type]
        assert (await refusal(answer))[0] == 401
        clock.pass_by(1)


async def test_health_and_the_description_need_no_token(plane: Plane) -> None:
    transport = httpx.ASGITransport(plane.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8088") as http:
        for path in ("/health", "/openapi.json"):
            assert (await http.get(path)).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.1", ""])
async def test_a_foreign_host_name_is_turned_away(keptn: Client, host: str) -> None:
    answer = await keptn.http.get("/health", headers={"host": host})
    assert (await refusal(answer))[0] == 403


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8088", "[::1]:8088", "LOCALHOST:1"])
async def test_loopback_names_are_let_in(keptn: Client, host: str) -> None:
    assert (await keptn.http.get("/health", headers={"host": host})).status_code == 200


async def test_the_token_can_be_checked(keptn: Client) -> None:
    assert (await keptn.http.post("/api/v1/auth")).status_code == 200
    assert (await keptn.get("/api/v1/metadata"))["shipyardversion"] == "0.2.0"


@pytest.mark.parametrize(
    ("body", "content_type", "code"),
    [
        (b"{}", "text/plain", 415),
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b'{"data": "\\ud800", "type": "x", "source": "y"}', "application/json", 400),
        (b"[" * 60_000, "application/json", 400),
        (b'{"data": 1e999, "type": "sh.keptn.log.error", "source": "y"}', "application/json", 400),
        (b'{"x": ' + b"1" * 60_000 + b"}", "application/json", 400),
        (b" " * 65_537, "application/cloudevents+json; charset=utf-8", 400),
        (b'{"source": "s", "type": "x"}', "application/json", 422),
    ],
)
async def test_no_bad_body_is_more_than_refused(
    keptn: Client, body: bytes, content_type: str, code: int
) -> None:
    answer = await keptn.http.post(EVENT, content=body, headers={"content-type": content_type})
    assert (await refusal(answer))[0] == code


async def test_id_and_time_of_a_posted_event_are_replaced(keptn: Client) -> None:
    event = {
        "id": "mine",
        "time": "2001-01-01T00:00:00Z",
        "type": "sh.keptn.events.problem",
        "source": "",
        "shkeptncontext": "my-context",
        "data": {"project": "bookshop", "x": 1},
    }
    context = await keptn.post(event)
    (stored,) = await keptn.events(context)
    assert stored["id"] != "mine"
    assert stored["time"] == "2023-11-14T22:13:20.000Z"
    assert stored["source"] == "https://github.com/keptn/keptn/api"
    assert stored["data"] == event["data"]


async def test_events_are_found_by_what_they_hold(keptn: Client, clock: VirtualClock) -> None:
    first = await keptn.trigger()
    clock.pass_by(10)
    second = await keptn.trigger("prod.delivery")
    kind = "sh.keptn.event.dev.delivery.triggered"

    async def contexts(**query: Any) -> list[str]:
        listed = await keptn.get(EVENTS, **{"project": "bookshop", "source": "me", **query})
        return [event["shkeptncontext"] for event in listed["events"]]

    assert await contexts() == [second, first]
    assert await contexts(stage="dev") == [first]
    assert await contexts(type=kind) == [first]
    assert await contexts(keptnContext=f"{first},{second}", service="basket") == [second, first]
    assert await contexts(fromTime="2023-11-14T22:13:20.000Z") == [second]
    assert await contexts(beforeTime="2023-11-14T22:13:21.000Z") == [first]
    (event,) = await keptn.events(first, type=kind)
    assert await contexts(eventID=event["id"]) == [first]
    assert await contexts(project="other") == []
    listed = await keptn.get(EVENTS)
    assert listed == {"events": [], "pageSize": 20}


async def test_events_come_page_by_page(keptn: Client) -> None:
    context = await keptn.trigger()
    query: dict[str, Any] = {"keptnContext": context, "pageSize": 1}
    first = await keptn.get(EVENTS, **query)
    assert (first["totalCount"], first["pageSize"], first["nextPageKey"]) == (2, 1, "1")
    last = await keptn.get(EVENTS, nextPageKey=first["nextPageKey"], **query)
    assert "nextPageKey" not in last
    assert last["events"][0]["type"] == "sh.keptn.event.dev.delivery.triggered"
    for size in (0, 101, "x"):
        answer = await keptn.http.get(EVENTS, params={"pageSize": size})
        assert (await refusal(answer))[0] == 422


async def test_open_events_are_those_of_the_served_project(keptn: Client) -> None:
    await keptn.trigger()
    path = "/api/controlPlane/v1/event/triggered/sh.keptn.event.deployment.triggered"
    query = {"project": "bookshop", "stage": "dev", "service": "basket"}
    assert len((await keptn.get(path, **query))["events"]) == 1
    assert (await keptn.get(path, stage="prod"))["events"] == []
    answer = await keptn.http.get(path, params={"project": "other"})
    assert await refusal(answer) == (404, "Project not found")
    assert (await refusal(await keptn.http.get(path, params={"pageSize": "x"})))[0] == 400


async def test_executions_are_found_by_state_name_and_place(keptn: Client) -> None:
    context = await keptn.trigger()
    path = "/api/controlPlane/v1/sequence-execution"

    async def count(**query: Any) -> int:
        listed = await keptn.get(path, **{"project": "bookshop", **query})
        return len(listed["sequenceExecutions"])

    matching = {"stage": "dev", "service": "basket", "name": "delivery", "keptnContext": context}
    assert await count(status="started", **matching) == 1
    assert await count(status="finished") == 0
    execution = await keptn.execution(context)
    assert execution["_id"]
    assert execution["scope"]["gitcommitid"]
    assert execution["inputProperties"]["service"] == "basket"
    for query, code in (({}, 400), ({"project": "other"}, 404)):
        assert (await refusal(await keptn.http.get(path, params=query)))[0] == code


async def test_a_run_shows_its_stages_and_their_latest_events(keptn: Client) -> None:
    context = await keptn.trigger()
    await keptn.do("deployment", result="fail")
    path = "/api/controlPlane/v1/sequence/bookshop"
    (state,) = (await keptn.get(path, keptnContext=context, pageSize=1))["states"]
    assert (state["name"], state["service"], state["state"]) == ("delivery", "basket", "started")
    (stage,) = state["stages"]
    assert (stage["name"], stage["state"]) == ("dev", "triggered")
    assert stage["latestEvent"]["type"] == "sh.keptn.event.rollback.triggered"
    assert stage["latestFailedEvent"]["type"] == "sh.keptn.event.rollback.triggered"
    assert (await keptn.get(path, state="finished"))["states"] == []
    assert (await keptn.get("/api/controlPlane/v1/sequence/other"))["states"] == []


@pytest.mark.parametrize("status", ["succeeded", "errored", "unknown"])
async def test_a_stage_that_ended_has_the_status_of_its_sequence(
    keptn: Client, status: str
) -> None:
    context = await keptn.trigger("dev.evaluation")
    await keptn.do("evaluation", status=status)
    path = "/api/controlPlane/v1/sequence/bookshop"
    (state,) = (await keptn.get(path, keptnContext=context))["states"]
    (stage,) = state["stages"]
    assert (state["state"], stage["state"]) == ("finished", status)
    assert ("latestFailedEvent" in stage) == (status != "succeeded")


async def test_the_log_keeps_what_integrations_tell(keptn: Client) -> None:
    path = "/api/controlPlane/v1/log"
    entries = [
        {"integrationid": "a", "message": "one", "time": "2001-01-01T00:00:00.000Z"},
        {"integrationid": "b", "message": "two"},
    ]
    assert (await keptn.http.post(path, json={"logs": entries})).status_code == 200
    listed = await keptn.get(path)
    assert [entry["message"] for entry in listed["logs"]] == ["two", "one"]
    assert listed["logs"][0]["time"] == "2023-11-14T22:13:20.000Z"
    assert len((await keptn.get(path, integrationId="a"))["logs"]) == 1
    assert len((await keptn.get(path, fromTime="2020-01-01T00:00:00.000Z"))["logs"]) == 1
    assert (await refusal(await keptn.http.get(path, params={"fromTime": "today"})))[0] == 400
    assert (await refusal(await keptn.http.post(path, json={"logs": 1})))[0] == 400
    infinite = await keptn.http.post(
        path, content=b'{"logs": [{"x": 1e999}]}', headers={"content-type": "application/json"}
    )
    assert (await refusal(infinite))[0] == 400


async def test_what_is_not_there_is_refused_in_the_same_form(keptn: Client) -> None:
    assert (await refusal(await keptn.http.get("/api/v1/nothing")))[0] == 404
    assert (await refusal(await keptn.http.get("/api/v1/event")))[0] == 405


async def test_a_description_names_every_route(plane: Plane) -> None:
    async with client_of(plane) as http:
        described = (await http.get("/openapi.json")).json()
    assert len(described["paths"]) == 29
    assert "x-token" in json.dumps(described["components"]["securitySchemes"])
