"""What a real Keptn's Uniform shows of a running service, and what becomes of it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.captain import Captain, config
from tests.conftest import connection
from tests.ship import Ship, eventually
from tests.strict.client import StrictKeptn

pytestmark = pytest.mark.slow

Json = dict[str, Any]
EVERY: Json = {"projects": [], "stages": [], "services": []}


@pytest.fixture
def begin(start: Callable[..., Ship], strict: StrictKeptn) -> Iterator[Callable[..., Ship]]:
    """Starts services that reach Keptn by its API alone."""

    def begin(**given: Any) -> Ship:
        return start(**connection(strict, "api"), **given)

    strict.reset()
    yield begin
    strict.reset()


def integrations(strict: StrictKeptn, name: str = "firstmate") -> list[Json]:
    """What is registered under a name."""
    listed = strict.state()["uniform"]["integrations"]
    return [one for one in listed if one["name"] == name]


def events(strict: StrictKeptn, name: str = "firstmate") -> list[tuple[str, Json]]:
    """What a name is subscribed to: (event, filter)."""
    found = [two for one in integrations(strict, name) for two in one["subscriptions"] or ()]
    return [(one["event"], one["filter"]) for one in found]


async def subscribed(strict: StrictKeptn, name: str = "firstmate") -> None:
    await eventually(lambda: events(strict, name) == [("sh.keptn.event.*.triggered", EVERY)])


async def test_what_keptns_users_see_of_us(begin: Callable[..., Ship], strict: StrictKeptn) -> None:
    begin(hostname="firstmate-7d9f-x2", full_deployment_name="firstmate")
    await subscribed(strict)
    [found] = integrations(strict)
    pod = {"namespace": "default", "podname": "firstmate-7d9f-x2", "deploymentname": "firstmate"}
    seen = found["metadata"].pop("lastseen")
    assert found["metadata"] == {
        "hostname": "firstmate-7d9f-x2",
        "integrationversion": "0.1.0",
        "distributorversion": "1.4.5",
        "location": "remote-execution-plane",
        "kubernetesmetadata": pod,
    }
    await eventually(lambda: integrations(strict)[0]["metadata"]["lastseen"] > seen)


async def test_several_names_are_registered_and_none_of_them_twice(
    begin: Callable[..., Ship], strict: StrictKeptn
) -> None:
    await begin(uniform_names="jobs, tests").stop()
    begin(uniform_names="jobs, tests")
    for name in ("jobs", "tests"):
        await subscribed(strict, name)
        assert len(integrations(strict, name)) == 1
    assert not integrations(strict)


async def test_whom_keptn_forgot_registers_again(
    begin: Callable[..., Ship], strict: StrictKeptn
) -> None:
    begin()
    await subscribed(strict)
    strict.forget("firstmate")
    await subscribed(strict)


async def test_subscriptions_of_an_earlier_version_are_put_right(
    begin: Callable[..., Ship], strict: StrictKeptn
) -> None:
    await begin(uniform_unregister=False).stop()
    [found] = integrations(strict)
    path = f"/controlPlane/v1/uniform/registration/{found['id']}/subscription"
    for wanted in (
        {"event": "sh.keptn.event.deployment.triggered", "filter": EVERY},
        {"event": "sh.keptn.event.*.triggered", "filter": EVERY | {"projects": ["p"]}},
        {"event": "sh.keptn.event.*.triggered", "filter": dict.fromkeys(EVERY)},
    ):
        assert strict.http.post(path, json=wanted).is_success
    begin()
    await eventually(lambda: [one for one, _ in events(strict)] == ["sh.keptn.event.*.triggered"])


@pytest.mark.parametrize("asked", [True, False])
async def test_it_leaves_only_when_asked_to(
    begin: Callable[..., Ship], strict: StrictKeptn, asked: bool
) -> None:
    ship = begin(uniform_unregister=asked)
    await subscribed(strict)
    await ship.stop()
    assert len(integrations(strict)) == (not asked)


async def test_the_name_of_another_installation_is_left_alone(
    begin: Callable[..., Ship], strict: StrictKeptn
) -> None:
    strict.register("job-executor-service", "sh.keptn.event.*.triggered", namespace="default")
    before = integrations(strict, "job-executor-service")
    ship = begin(uniform_names="job-executor-service")

    async def is_told() -> bool:
        said = (await ship.http.get(f"{ship.ops}/ready")).json()
        told = said.get("uniform job-executor-service", "")
        return "belongs to the deployment 'job-executor-service'" in told

    await eventually(is_told)
    assert integrations(strict, "job-executor-service") == before


async def test_a_distributor_registers_itself(
    start: Callable[..., Ship], strict: StrictKeptn, captain: Captain
) -> None:
    strict.reset()
    strict.register("firstmate", "sh.keptn.event.*.triggered")
    ship = start(**connection(strict, "sidecar"))
    captain.put("apiVersion: v9")
    await captain.trigger(ship.door)
    await eventually(lambda: bool(strict.state()["logs"]))
    [entry] = strict.state()["logs"]
    assert entry["integrationid"] == integrations(strict)[0]["id"]
    assert {method for method, _ in strict.state()["uniform"]["asked"]} == {"GET"}


async def test_an_outage_ends_neither_the_service_nor_its_registration(
    begin: Callable[..., Ship], strict: StrictKeptn
) -> None:
    strict.faults({"mode": "500", "where": "uniform", "times": 3})
    strict.faults({"mode": "garbage", "where": "uniform", "times": 3})
    strict.faults({"mode": "404", "where": "uniform", "times": 2})
    ship = begin()
    await subscribed(strict)
    assert (await ship.http.get(f"{ship.ops}/ready")).json() == {"status": "OK"}


async def test_an_errored_answer_is_in_the_uniform_log_with_task_and_context(
    begin: Callable[..., Ship], strict: StrictKeptn, captain: Captain
) -> None:
    ship = begin()
    await subscribed(strict)
    captain.put(config("sh", "-c", "echo planted; exit 3"))
    event = await captain.trigger(ship.door)
    await captain.wait(event)
    await eventually(lambda: bool(strict.state()["logs"]))
    [entry] = strict.state()["logs"]
    run = ship.run(event)
    assert entry["integrationid"] == integrations(strict)[0]["id"]
    assert (entry["task"], entry["triggeredid"]) == ("test", event)
    assert entry["shkeptncontext"] == run.context
    assert "planted" in entry["message"]
