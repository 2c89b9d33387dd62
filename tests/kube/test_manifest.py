"""The Job that stands for some work: job-executor's names and defaults, and ours; never a token."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from app.engines.contract import Origin
from app.engines.kubernetes import manifest, names
from app.engines.kubernetes.manifest import Parts
from app.engines.kubernetes.site import JobDefaults, Site
from app.jobconfig.schema import Pod, Resources, SecurityContext
from app.naming import Place, launch_key
from tests import works
from tests.kube import rules

ROWS = json.loads(Path(__file__).with_name("job_labels.json").read_text())["rows"]
SITE = Site(namespaces=("jobs",), init_image="firstmate:1", service_account="default-job-account")
KEY = "0123456789abcdef01234567-000-001"
PARTS = Parts("d" * 64, ("firstmate-a-0", "firstmate-a-1"))
RICH: dict[str, Any] = {
    "cmd": ("sh", "-c"),
    "args": ("true",),
    "env": {"A": "1"},
    "working_dir": "/keptn",
    "pull_policy": "Always",
    "secrets": ("first", "second"),
    "namespace": "jobs",
    "service_account": "deployer",
    "ttl": 600,
    "annotations": {"a/b": "c"},
    "origin": Origin("ctx", "id", "commit", "hash", (0, "act"), (1, "do it")),
    "network": False,
    "pod": Pod.model_validate(
        {
            "labels": {"team": "x"},
            "annotations": {"vault/inject": "true"},
            "imagePullSecrets": ["registry"],
            "nodeSelector": {"disk": "ssd"},
            "tolerations": [{"key": "gpu", "operator": "Exists"}],
            "affinity": {"nodeAffinity": {}},
            "volumes": [
                {"mountPath": "/cache", "emptyDir": {"sizeLimit": "1Gi"}},
                {"mountPath": "/any", "emptyDir": {}},
                {"mountPath": "/secret", "readOnly": True, "secret": {"secretName": "s"}},
                {"mountPath": "/config", "configMap": {"name": "c"}},
                {"mountPath": "/data", "persistentVolumeClaim": {"claimName": "p"}},
            ],
        }
    ),
}


def _job(parts: Parts | None = None, site: Site = SITE, **more: Any) -> Any:
    work = works.work(**{"image": "alpine", "deadline": 300.0, **more})
    return manifest.job(KEY, work, site, parts)


def _pod(job: Any) -> Any:
    return job["spec"]["template"]["spec"]


def _container(job: Any) -> Any:
    return _pod(job)["containers"][0]


@pytest.mark.parametrize(
    "row", [r for r in ROWS if r["in"]["fn"] == "sanitize"], ids=lambda r: r["name"]
)
def test_a_label_is_made_as_job_executor_makes_it(row: Any) -> None:
    assert names.value(row["in"]["action"]) == row["out"]


@pytest.mark.parametrize(
    "row", [r for r in ROWS if r["in"]["fn"] == "labels" and "out" in r], ids=lambda r: r["name"]
)
def test_labels_are_job_executors(row: Any) -> None:
    given = row["in"]
    origin = Origin(
        given["event"]["shkeptncontext"],
        given["event"]["id"],
        given["commit"],
        given["hash"],
        (given["action_index"], given["action"]),
        (given["task_index"], given["task"]),
    )
    expected = dict(row["out"])
    if "not sanitised" in row["name"]:  # there such a Job is invalid; here its labels are made fit
        expected = {name: names.value(value) for name, value in expected.items()}
    work = works.work(image="alpine", origin=origin)
    site = Site(namespaces=("jobs",), init_image="x", managed_by=given["deployment"])
    labels = manifest.job(KEY, work, site)["metadata"]["labels"]
    assert labels.pop(names.KEY) == KEY
    assert labels == expected


def test_the_operators_labels_never_replace_ours() -> None:
    site = Site(
        namespaces=("jobs",),
        init_image="x",
        defaults=JobDefaults(labels={names.KEY: "evil", "team": "x"}),
    )
    labels = _job(site=site)["metadata"]["labels"]
    assert (labels[names.KEY], labels["team"]) == (KEY, "x")


@pytest.mark.parametrize("event_id", ["a", "A", "-a", "a-", "x" * 300, "../ä/b c", "", "\ud800"])
def test_every_event_id_gives_a_name_that_kubernetes_takes(event_id: str) -> None:
    name = names.job(launch_key(event_id, Place(0, 1, attempt=100)))
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", name)


@pytest.mark.parametrize("parts", [None, PARTS])
@pytest.mark.parametrize("more", [{}, RICH])
@pytest.mark.parametrize(
    "version",
    [
        *(pytest.param(one, marks=pytest.mark.slow) for one in rules.VERSIONS[:-1]),
        rules.VERSIONS[-1],
    ],
)
def test_every_kubernetes_takes_the_job(version: str, more: Any, parts: Parts | None) -> None:
    assert rules.faults(_job(parts, **more), (version,)) == []


def test_a_job_is_tried_once_and_ended_by_the_cluster_at_last() -> None:
    spec = _job(deadline=10.5)["spec"]
    assert (spec["backoffLimit"], _pod(_job())["restartPolicy"]) == (0, "Never")
    assert spec["activeDeadlineSeconds"] == 11 + manifest.BACKSTOP_SECONDS


@pytest.mark.parametrize(("ttl", "kept"), [(None, 21600), (59, 60), (-1, 60), (0, 60), (600, 600)])
def test_a_job_is_kept_for_a_minute_at_least(ttl: int | None, kept: int) -> None:
    assert _job(ttl=ttl)["spec"]["ttlSecondsAfterFinished"] == kept


def test_a_task_that_asks_for_nothing_gets_the_restricted_profile_and_modest_resources() -> None:
    container = _container(_job())
    assert container["securityContext"] == {
        "capabilities": {"add": [], "drop": ["ALL"]},
        "privileged": False,
        "runAsUser": 1000,
        "runAsGroup": 2000,
        "runAsNonRoot": True,
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container["resources"] == {
        "limits": {"cpu": "1", "memory": "512Mi"},
        "requests": {"cpu": "50m", "memory": "128Mi"},
    }
    assert _pod(_job())["securityContext"] == {"fsGroup": 2000}


def test_a_tasks_security_context_is_merged_field_by_field() -> None:
    own = SecurityContext.model_validate(
        {"runAsUser": 0, "runAsNonRoot": False, "capabilities": {"add": ["NET_ADMIN"]}}
    )
    merged = _container(_job(security=own))["securityContext"]
    assert merged["capabilities"] == {"add": ["NET_ADMIN"], "drop": []}
    assert (merged["runAsUser"], merged["runAsGroup"], merged["runAsNonRoot"]) == (0, 2000, False)


def test_resources_that_are_there_but_empty_drop_all_defaults() -> None:
    assert _container(_job(resources=Resources()))["resources"] == {"limits": {}, "requests": {}}


def test_a_task_without_files_has_no_init_container_and_no_token() -> None:
    pod = _pod(_job())
    assert pod["initContainers"] == []
    assert pod["automountServiceAccountToken"] is False
    assert pod["serviceAccountName"] == "default-job-account"
    assert pod["volumes"] == [{"name": "job-volume", "emptyDir": {"sizeLimit": "20Mi"}}]


def test_only_a_task_that_names_an_account_of_its_own_may_have_a_token() -> None:
    assert "automountServiceAccountToken" not in _pod(_job(service_account="deployer"))
    assert (
        _pod(_job(service_account="default-job-account"))["automountServiceAccountToken"] is False
    )


def test_the_init_container_is_never_more_than_restricted() -> None:
    evil = SecurityContext.model_validate(
        {"privileged": True, "allowPrivilegeEscalation": True, "runAsUser": 7}
        | {"capabilities": {"add": ["ALL"]}, "readOnlyRootFilesystem": False}
    )
    init = _pod(_job(PARTS, security=evil))["initContainers"][0]
    assert init["securityContext"] == {**_container(_job())["securityContext"], "runAsUser": 7}
    assert "env" not in init
    assert "envFrom" not in init


def test_secrets_come_before_env_and_in_their_order() -> None:
    container = _container(_job(**RICH))
    assert [one["secretRef"]["name"] for one in container["envFrom"]] == ["first", "second"]
    assert {"name": "A", "value": "1"} in container["env"]


def test_a_variable_whose_name_no_cluster_takes_is_left_out() -> None:
    env = _container(_job(env={"LABELS_A/B": "x", "": "y", "LABELS_A.B": "z"}))["env"]
    assert {one["name"] for one in env} == {"KEPTN_FILES_DIR", "KEPTN_RESULT_FILE", "LABELS_A.B"}


def test_a_task_without_network_is_marked_for_the_network_policy() -> None:
    assert _job(network=False)["spec"]["template"]["metadata"]["labels"][names.NETWORK] == "none"


def test_what_firstmate_v1_adds_reaches_the_pod() -> None:
    job = _job(**RICH)
    pod, template = _pod(job), job["spec"]["template"]["metadata"]
    assert template["annotations"] == {"vault/inject": "true"}
    assert template["labels"]["team"] == "x"
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert pod["nodeSelector"] == {"disk": "ssd"}
    assert pod["tolerations"] == [{"key": "gpu", "operator": "Exists"}]
    assert [next(iter(one.keys() - {"name"})) for one in pod["volumes"]] == [
        *("emptyDir", "emptyDir", "emptyDir", "secret", "configMap", "persistentVolumeClaim")
    ]
    assert [one["mountPath"] for one in _container(job)["volumeMounts"]] == [
        *("/keptn", "/cache", "/any", "/secret", "/config", "/data")
    ]
