"""Each way in which the strict Keptn misbehaves, shown by raw exchanges over HTTP."""

import time

import httpx
import pytest

from tests.strict.answering import Round
from tests.strict.client import StrictKeptn

pytestmark = pytest.mark.slow

CONFIG = "/resource-service/v1/project/p/stage/s/resource/job%2Fconfig.yaml"
EXECUTION = "/controlPlane/v1/sequence-execution"
OPEN = "/controlPlane/v1/event/triggered/sh.keptn.event.test.triggered"


def wait_until_open(keptn: StrictKeptn) -> None:
    """Until it accepts connections again."""
    until = time.monotonic() + 10
    while True:
        try:
            httpx.get(keptn.sidecar_url, trust_env=False)
        except httpx.ConnectError:
            assert time.monotonic() < until
            time.sleep(0.01)
        else:
            return


@pytest.mark.parametrize(
    ("mode", "status", "counted"),
    [
        ("lose_200", 200, 0),
        ("duplicate", 200, 2),
        ("slow", 200, 1),
        ("garbage", 200, 1),
        ("500_after_accept", 500, 1),
        ("500_before_accept", 500, 0),
        ("400", 400, 0),
        ("401", 401, 0),
        ("429", 429, 0),
        ("503", 503, 0),
        ("accept_drop_reply", None, 1),
        ("drop_request", None, 0),
        ("refuse", None, 0),
    ],
)
@pytest.mark.parametrize("path", ["/event", "/api/v1/event"])
def test_each_mode_spoils_one_exchange(
    keptn: StrictKeptn, path: str, mode: str, status: int | None, counted: int
) -> None:
    one = Round(keptn)
    seconds = 60 if mode == "refuse" else 0.05
    keptn.faults({"mode": mode, "kind_of_event": "started", "seconds": seconds})
    if status is None:
        with pytest.raises(httpx.TransportError):
            one.send("started", path)
    else:
        reply = one.send("started", path)
        assert (reply.status_code, "retry-after" in reply.headers) == (status, mode == "429")
    assert one.started == counted
    if mode == "refuse":
        with pytest.raises(httpx.ConnectError):
            one.send("started", path)
        keptn.refuse(0)
        wait_until_open(keptn)
    assert one.send("started", path).status_code == 200
    assert one.started == counted + 1


def test_a_slow_reply_comes_after_its_message_was_counted(keptn: StrictKeptn) -> None:
    one = Round(keptn)
    keptn.faults({"mode": "slow", "seconds": 60})
    with (
        httpx.Client(
            base_url=keptn.sidecar_url, timeout=httpx.Timeout(10, read=0.5), trust_env=False
        ) as client,
        pytest.raises(httpx.ReadTimeout),
    ):
        client.post("/event", json=one.event("started"))
    assert one.started == 1


def test_a_reordered_message_is_counted_after_the_next_one(keptn: StrictKeptn) -> None:
    one = Round(keptn)
    keptn.faults({"mode": "reorder", "kind_of_event": "started"})
    assert one.send("started").status_code == 200
    assert one.started == 0
    one.finish()
    assert [heard["kind"] for heard in keptn.wait(one.id)["events"]] == ["finished", "started"]
    assert keptn.state()["violations"] == []


def test_rules_are_used_up_in_order_and_may_last(keptn: StrictKeptn) -> None:
    one = Round(keptn)
    keptn.faults({"mode": "503", "times": 2}, {"mode": "lose_200", "times": None})
    assert [one.send("started").status_code for _ in range(5)] == [503, 503, 200, 200, 200]
    assert one.started == 0
    keptn.clear_faults()
    one.send("started")
    assert one.started == 1


def test_a_lookup_can_be_spoilt_too(keptn: StrictKeptn) -> None:
    Round(keptn)
    keptn.faults({"mode": "empty", "where": "lookup"}, {"mode": "500", "where": "triggered"})
    assert keptn.http.get(EXECUTION, params={"project": "p"}).json() == {}
    assert keptn.http.get(OPEN).status_code == 500
    assert [asked["route"] for asked in keptn.state()["lookups"]] == ["execution", "triggered"]


@pytest.mark.parametrize("mode", ["404", "500", "garbage"])
def test_one_level_can_be_spoilt(keptn: StrictKeptn, mode: str) -> None:
    keptn.resource("stage", "p", "s")
    keptn.resource("project", "p")
    keptn.spoil_resource(mode, "p", "s")
    spoilt = keptn.http.get(CONFIG)
    assert (str(spoilt.status_code) == mode) or spoilt.text.startswith("<html>")
    assert keptn.http.get(CONFIG.replace("/stage/s", "")).status_code == 200
