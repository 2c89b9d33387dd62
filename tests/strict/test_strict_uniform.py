"""The double's Uniform (§3.2) and its versions (§9), asked as an integration would ask them."""

from typing import Any

import httpx
import pytest

from tests.strict.answering import TOKEN
from tests.strict.client import StrictKeptn

pytestmark = pytest.mark.slow

REGISTRATION = "/controlPlane/v1/uniform/registration"
SUBSCRIPTION = {"event": "sh.keptn.event.test.triggered", "filter": {"projects": ["p"]}}


def body(host: str = "node", **more: Any) -> dict[str, Any]:
    pod = {"namespace": "keptn", "podname": "pod", "deploymentname": "jobs"}
    metadata = {"hostname": host, "integrationversion": "1", "kubernetesmetadata": pod}
    return {"name": "jobs", "metadata": metadata, "subscriptions": [SUBSCRIPTION], **more}


def register(keptn: StrictKeptn, given: dict[str, Any]) -> httpx.Response:
    return keptn.http.post(REGISTRATION, json=given)


def test_a_name_stands_once_in_a_namespace_and_keeps_its_subscriptions(keptn: StrictKeptn) -> None:
    first = register(keptn, body())
    second = register(keptn, body("elsewhere", subscriptions=[]))
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    [found] = keptn.http.get(REGISTRATION, params={"name": "jobs"}).json()
    assert found["metadata"]["hostname"] == "node"
    assert [one["event"] for one in found["subscriptions"]] == [SUBSCRIPTION["event"]]


def test_the_id_is_made_of_name_namespace_and_host(keptn: StrictKeptn) -> None:
    # printf jobs-keptn-node | sha1sum
    assert register(keptn, body()).json() == {"id": "5436f7a9088310e6eefb9c65abc5caf079b143c8"}


@pytest.mark.parametrize("missing", [{"name": ""}, {"metadata": {}}])
def test_a_registration_without_name_namespace_or_host_is_refused(
    keptn: StrictKeptn, missing: dict[str, Any]
) -> None:
    assert register(keptn, body() | missing).status_code == 400


def test_a_ping_tells_what_is_registered_and_404_once_it_expired(keptn: StrictKeptn) -> None:
    ping = f"{REGISTRATION}/{register(keptn, body()).json()['id']}/ping"
    assert keptn.http.put(ping).json()["subscriptions"][0]["filter"] == SUBSCRIPTION["filter"]
    keptn.forget("jobs")
    assert keptn.http.put(ping).status_code == 404


def test_subscriptions_are_added_changed_and_removed_one_by_one(keptn: StrictKeptn) -> None:
    path = f"{REGISTRATION}/{register(keptn, body(subscriptions=[])).json()['id']}/subscription"
    made = keptn.http.post(path, json=SUBSCRIPTION).json()["id"]
    keptn.http.put(f"{path}/{made}", json=SUBSCRIPTION | {"filter": {}})
    assert [one["filter"] for one in keptn.http.get(path).json()] == [{}]
    keptn.http.delete(f"{path}/{made}")
    assert keptn.http.get(path).json() is None


@pytest.mark.parametrize(
    ("version", "newer", "older", "by_sidecar"),
    [
        ("0.17.2", 404, 200, (500, 200)),
        ("0.18.2", 200, 200, (200, 500)),
        ("0.19.3", 200, 404, (200, 500)),
        ("1.4.5", 200, 404, (200, 500)),
    ],
)
def test_where_the_files_of_each_version_are(
    keptn: StrictKeptn, version: str, newer: int, older: int, by_sidecar: tuple[int, int]
) -> None:
    keptn.resource("x", "p", "s", "svc")
    keptn.update(version)
    paths = [f"/{name}-service/v1/project/p/resource" for name in ("resource", "configuration")]
    inside = [keptn.http.get(f"/api{path}", headers=TOKEN).status_code for path in paths]
    outside = [keptn.http.get(path).status_code for path in paths]
    assert (inside, outside) == ([newer, older], [*by_sidecar])


@pytest.mark.parametrize(("version", "status"), [("0.18.2", 200), ("0.19.3", 400)])
def test_the_api_validates_from_0_19_on(keptn: StrictKeptn, version: str, status: int) -> None:
    keptn.update(version)
    event = {"type": "sh.keptn.event.test.status.changed", "source": "x", "data": {}}
    assert keptn.http.post("/api/v1/event", json=event, headers=TOKEN).status_code == status
