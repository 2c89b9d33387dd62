"""Who may reach whom: the network policies of deploy/, applied to the labels that pods have.

No network was there to enforce them.
"""

from typing import Any

import pytest

from tests import works
from tests.deploy import manifests
from tests.deploy.manifests import Object

LAUNCHED = {"firstmate/launch-key": "x", "firstmate/network": "default"}
OFFLINE = LAUNCHED | {"firstmate/network": "none"}
SERVICE = {"app.kubernetes.io/name": "firstmate"}


def selected(selector: Object, labels: dict[str, str]) -> bool:
    """Whether a label selector means a pod with these labels."""
    wanted = selector.get("matchLabels", {})
    there = {"Exists": True, "DoesNotExist": False}
    return wanted.items() <= labels.items() and all(
        (one["key"] in labels) is there[one["operator"]]
        for one in selector.get("matchExpressions", [])
    )


def policies(labels: dict[str, str], way: str, file: str = "service.yaml") -> list[Any]:
    """What a pod may do one way, Ingress or Egress; nothing at all is an empty list."""
    found = [one["spec"] for one in manifests.documents(file) if one["kind"] == "NetworkPolicy"]
    found = [
        one for one in found if selected(one["podSelector"], labels) and way in one["policyTypes"]
    ]
    assert found, f"{way} of {labels} is not limited at all"
    return [rule for one in found for rule in one.get(way.lower(), [])]


def test_a_job_cannot_reach_the_service() -> None:
    (rule,) = policies(SERVICE, "Ingress")
    (peer,) = rule["from"]
    assert rule["ports"] == [{"port": 9090, "protocol": "TCP"}]
    assert peer["namespaceSelector"] == {}
    assert selected(peer["podSelector"], {"app": "prometheus"})
    assert not selected(peer["podSelector"], LAUNCHED)


@pytest.mark.parametrize("file", ["service.yaml", "jobs-namespace.yaml"])
def test_nobody_reaches_a_job_and_one_without_network_reaches_nobody(file: str) -> None:
    assert policies(LAUNCHED, "Ingress", file) == policies(OFFLINE, "Ingress", file) == []
    assert policies(OFFLINE, "Egress", file) == []
    with pytest.raises(AssertionError, match="not limited"):
        policies(LAUNCHED, "Egress", file)


def test_the_policies_for_jobs_leave_other_pods_of_keptn_alone() -> None:
    with pytest.raises(AssertionError, match="not limited"):
        policies({"app": "shipyard-controller"}, "Ingress")


@pytest.mark.parametrize(("network", "limited"), [(False, True), (True, False)])
def test_the_jobs_of_the_engine_are_those_that_are_meant(*, network: bool, limited: bool) -> None:
    there = "app.engines.kubernetes.manifest"
    manifest = pytest.importorskip(there, reason=f"{there} is not merged yet")
    work = works.work(image="alpine", network=network)
    job = manifest.job("x", work, manifest.Site(namespaces=("keptn",), init_image="firstmate"))
    labels = job["spec"]["template"]["metadata"]["labels"]
    assert policies(labels, "Ingress") == []
    offline = manifests.find("NetworkPolicy", "firstmate-jobs-offline")["spec"]["podSelector"]
    assert selected(offline, labels) is limited
