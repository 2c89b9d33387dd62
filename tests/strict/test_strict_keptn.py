"""The strict Keptn as a process that behaves: what it refuses, tells, delivers and objects to."""

import base64
from typing import Any

import pytest

from tests.strict.answering import TOKEN, Door, Round
from tests.strict.client import StrictKeptn

pytestmark = pytest.mark.slow

OPEN = "/controlPlane/v1/event/triggered/sh.keptn.event.test.triggered"
EXECUTION = "/controlPlane/v1/sequence-execution"
EVENTS = "/mongodb-datastore/event"
CONFIG = "/resource-service/v1/project/p/stage/s/resource/job%2Fconfig.yaml"


def test_the_gateway_replaces_id_and_time_where_the_sidecar_keeps_them(keptn: StrictKeptn) -> None:
    one = Round(keptn)
    assert one.send("started", "/api/v1/event").json() == {"keptnContext": one.context}
    one.send("started")
    first, second = [heard["event"] for heard in keptn.task(one.id)["events"]]
    assert first["time"].endswith("Z")
    assert "time" not in second
    found = keptn.http.get(EVENTS, params={"keptnContext": one.context, "source": "me"}).json()
    assert [event["id"] for event in found["events"]] == [second["id"], first["id"]]


def test_the_gateway_wants_its_token_and_slows_down_who_guesses(keptn: StrictKeptn) -> None:
    statuses = [keptn.http.get("/api/v1/metadata").status_code for _ in range(3)]
    assert statuses == [401, 401, 429]
    assert keptn.http.get("/api/v1/metadata", headers=TOKEN).json()["keptnversion"] == "1.4.5"
    assert keptn.http.post("/api/v1/auth").status_code == 401


@pytest.mark.parametrize(("path", "status"), [("/event", 500), ("/api/v1/event", 400)])
def test_more_than_64_kib_are_refused(keptn: StrictKeptn, path: str, status: int) -> None:
    one = Round(keptn)
    assert one.send("started", path, message="x" * 65536).status_code == status
    assert [note["rule"] for note in keptn.state()["violations"]] == ["oversize"]


def test_binary_mode_reaches_no_sidecar(keptn: StrictKeptn) -> None:
    headers = {"ce-id": "1", "ce-source": "me", "ce-type": "x", "ce-specversion": "1.0"}
    assert keptn.http.post("/event", json={}, headers=headers).status_code == 500
    assert [note["rule"] for note in keptn.state()["violations"]] == ["binary_mode"]


def test_finished_before_an_accepted_started_is_objected_to(keptn: StrictKeptn) -> None:
    one = Round(keptn)
    keptn.faults({"mode": "500_before_accept"})
    one.send("started")
    one.finish()
    rules = [note["rule"] for note in keptn.state(triggeredid=one.id)["violations"]]
    assert rules == ["finished_before_started"]


def test_open_events_are_listed_until_they_are_answered(keptn: StrictKeptn) -> None:
    assert keptn.http.get(OPEN, params={"project": "p"}).status_code == 404
    one = Round(keptn)
    query = {"project": "p", "eventID": one.id}
    assert keptn.http.get(OPEN, params=query).json()["totalCount"] == 1
    one.send("started")
    one.finish()
    assert keptn.http.get(OPEN, params=query).json() == {"events": [], "nextPageKey": "0"}
    for _ in range(3):
        Round(keptn)
    page = keptn.http.get(OPEN, params={"pageSize": 2}).json()
    assert (len(page["events"]), page["nextPageKey"]) == (2, "2")


def test_an_execution_shows_what_was_counted_and_from_whom(keptn: StrictKeptn) -> None:
    one = Round(keptn)
    one.send("started")
    assert keptn.http.get(EXECUTION).status_code == 400
    query = {"project": "p", "keptnContext": one.context}

    def status() -> dict[str, Any]:
        answer = keptn.http.get(f"/api{EXECUTION}", params=query, headers=TOKEN).json()
        return dict(answer["sequenceExecutions"][0]["status"])

    task = status()["currentTask"]
    assert (task["name"], task["triggeredID"]) == ("test", one.id)
    assert [event["source"] for event in task["events"]] == ["me"]
    one.finish()
    assert status()["state"] == "finished"
    assert status()["previousTasks"][0]["triggeredID"] == one.id


def test_stored_events_come_in_pages_newest_first(keptn: StrictKeptn) -> None:
    one = Round(keptn)
    for _ in range(4):
        one.send("started")
    query = {"keptnContext": one.context, "source": "me", "pageSize": "3"}
    first = keptn.http.get(EVENTS, params=query).json()
    second = keptn.http.get(EVENTS, params={**query, "nextPageKey": first["nextPageKey"]}).json()
    assert (len(first["events"]), len(second["events"]), "nextPageKey" in second) == (3, 1, False)
    assert keptn.http.get(EVENTS, params={"pageSize": 101}).status_code == 422


def test_resources_are_read_by_level_and_commit(keptn: StrictKeptn) -> None:
    old = keptn.resource("one", "p", "s")
    keptn.resource("two", "p", "s")

    def text(commit: str) -> str:
        reply = keptn.http.get(CONFIG, params={"gitCommitID": commit})
        return base64.b64decode(reply.json()["resourceContent"]).decode()

    assert (text(old), text("")) == ("one", "two")
    assert keptn.http.get(CONFIG, params={"gitCommitID": "unknown"}).status_code == 500
    missing = keptn.http.get(CONFIG.replace("config", "other"))
    assert (missing.status_code, missing.json()["message"]) == (404, "Resource not found")
    assert keptn.http.get(CONFIG.replace("/p/", "/q/")).json()["message"] == "Project not found"
    assert keptn.http.get(CONFIG.replace("%2F", "/")).status_code == 404
    assert keptn.http.get(CONFIG.replace("job", "..")).status_code == 400


def test_resources_of_a_level_are_listed_in_pages_as_they_are_now(keptn: StrictKeptn) -> None:
    old = keptn.resource(b"\0\xff", "p", "s", uri="one")
    names = [f"/dir/{number:02}" for number in range(30)]
    for name in names:
        keptn.resource("", "p", "s", uri=name.lstrip("/"))
    keptn.resource(None, "p", "s", uri="one")
    keptn.resource("", "p", "other", uri="hidden")
    path = CONFIG.partition("/job")[0]
    first = keptn.http.get(path, params={"gitCommitID": old}).json()
    assert [one["resourceURI"] for one in first["resources"]] == names[:20]
    assert (first["nextPageKey"], first["totalCount"]) == ("20", 30)
    second = keptn.http.get(path, params={"nextPageKey": "20"}).json()
    assert [one["resourceURI"] for one in second["resources"]] == names[20:]
    assert second["nextPageKey"] == "0"
    content = keptn.http.get(f"{path}/one", params={"gitCommitID": old}).json()["resourceContent"]
    assert base64.b64decode(content) == b"\0\xff"


@pytest.mark.parametrize(
    ("way", "escapes", "status"),
    [("", 0, 404), ("", 1, 200), ("", 2, 200), ("/api", 1, 404), ("/api", 2, 200)],
)
def test_a_gateway_undoes_one_escape_and_a_sidecar_none(
    keptn: StrictKeptn, way: str, escapes: int, status: int
) -> None:
    keptn.resource("text", "p", "s")
    name = ("job/config.yaml", "job%2Fconfig.yaml", "job%252Fconfig.yaml")[escapes]
    path = f"{way}{CONFIG.rpartition('/')[0]}/{name}"
    reply = keptn.http.get(path, headers={"x-token": keptn.token})
    assert reply.status_code == status
    assert status == 200 or reply.text == "404 page not found"


def test_a_trigger_is_pushed_as_a_distributor_would(keptn: StrictKeptn, door: Door) -> None:
    door.statuses = [500, 404]
    odd = {"event_id": "../x y", "time": "absent", "labels": None, "data": {"n": 1}}
    one = Round(keptn, deliver=1, door=door.url, **odd)
    assert keptn.wait(one.id, "delivered")["deliveries"] == [500, 404, 202]
    event = door.got[-1]
    assert (event["id"], event["triggeredid"], "time" in event) == ("../x y", "", False)
    assert (event["data"]["labels"], event["data"]["n"]) == (None, 1)
    assert event["data"]["temporaryData"]["distributor"]["subscriptionID"] == "subscription-1"


def test_deliveries_can_be_doubled_held_and_turned_round(keptn: StrictKeptn, door: Door) -> None:
    keptn.hold()
    for name in ("a", "b"):
        Round(keptn, event_id=name, deliver=2, door=door.url)
    assert door.got == []
    keptn.release(backwards=True)
    assert [event["id"] for event in door.got] == ["b", "b", "a", "a"]


def test_a_sequence_goes_on_and_can_be_aborted(keptn: StrictKeptn, door: Door) -> None:
    first = keptn.trigger(["test", "release"], door=door.url)["triggeredid"]
    one = Round(keptn)
    one.id, one.context = first, keptn.task(first)["context"]
    one.send("started")
    one.finish()
    second = keptn.task(first)["next"]
    keptn.wait(second, "delivered")
    assert door.got[-1]["type"] == "sh.keptn.event.release.triggered"
    keptn.abort(second)
    task = keptn.wait(second, "sequence_closed")
    assert (task["closed_by"], task["sequence"]) == ("aborted", "aborted")


def test_a_task_that_nobody_starts_times_out(keptn: StrictKeptn) -> None:
    one = Round(keptn, start_timeout=0.01)
    assert keptn.wait(one.id)["closed_by"] == "timedOut"


def test_a_sequence_comes_in_through_the_gateway(keptn: StrictKeptn) -> None:
    one = Round(keptn)
    event = one.event("triggered") | {"type": "sh.keptn.event.s.delivery.triggered"}
    keptn.sequence("p", "s", "delivery", ["test"])
    del event["shkeptncontext"]
    reply = keptn.http.post("/api/v1/event", json=event, headers=TOKEN).json()
    (task,) = keptn.state(context=reply["keptnContext"])["tasks"].values()
    assert (task["open"], task["sequence"]) == (True, "started")


def test_a_log_event_reaches_the_uniform_log_and_no_sequence(keptn: StrictKeptn) -> None:
    event = Round(keptn).event("started") | {"type": "sh.keptn.log.error"}
    assert keptn.http.post("/event", json=event).status_code == 200
    lines = {"logs": [{"message": "second"}]}
    assert keptn.http.post("/controlPlane/v1/log", json=lines).status_code == 200
    state = keptn.state()
    assert (len(state["logs"]), state["violations"]) == (2, [])


def test_a_control_call_says_what_is_wrong_with_it(keptn: StrictKeptn) -> None:
    with pytest.raises(AssertionError, match="mode is one of"):
        keptn.faults({"mode": "explode"})
    with pytest.raises(TimeoutError, match="was not started"):
        keptn.wait(Round(keptn).id, "started", seconds=0.01)


def test_a_remote_sidecar_passes_on_what_the_gateway_says() -> None:
    with StrictKeptn(remote=True) as keptn:
        keptn.resource("text", "p", "s")
        for name in (CONFIG, CONFIG.replace("%2F", "%252F")):
            assert keptn.http.get(name).status_code == 200
        one = Round(keptn)
        event = one.event("started")
        assert keptn.http.post("/event", json=event).status_code == 200
        assert keptn.task(one.id)["events"][0]["event"]["id"] != event["id"]
        assert one.send("finished").status_code == 500
