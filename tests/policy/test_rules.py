"""What each rule forbids, what the defaults forbid, and how a project's rules come first."""

from typing import Any

import pytest

from app.document.typed import FileError
from app.jobconfig.schema import Resources, Task
from app.policy.in_force import forbidden
from app.policy.rules import PolicyFile, Rules, Terms, read

HEAD = "apiVersion: firstmate/v1\n"
PROTECTED = "belongs to Keptn, to Helm or to this service, and the rule does not name it"
OPEN = Terms(privileged=True)


def task(**keys: Any) -> Task:
    return Task.model_validate({"name": "Do", "image": "alpine:3", **keys})


def asks_for_secret(name: str) -> Task:
    return task(env=[{"name": name, "valueFrom": "secret"}])


def pod(**keys: Any) -> Task:
    return task(pod=keys)


def mounts(**source: Any) -> Task:
    return pod(volumes=[{"mountPath": "/mnt", **source}])


def security(**keys: Any) -> Task:
    return task(securityContext=keys)


def refused(asked: Task, terms: Terms | None = None, **rules: Any) -> list[str]:
    """The rules that forbid it."""
    given = terms or Terms()
    held = PolicyFile(rules=Rules.model_validate(rules)).of("p", given.rules())
    return [one.split("`")[1] for one in forbidden(asked, held, given)]


@pytest.mark.parametrize(
    "asked",
    [
        task(),
        task(image="evil.example/x", serviceAccount="deployer", namespace="elsewhere"),
        task(serviceAccount="default"),
        task(maxPollDuration=10**6, retries=100, resources={}),
        asks_for_secret("team-a"),
        asks_for_secret("keptn-of-a-team"),
        security(runAsUser=0, allowPrivilegeEscalation=True, procMount="Unmasked"),
        security(capabilities={"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]}),
        security(seccompProfile={"type": "Unconfined"}, privileged=False),
        mounts(emptyDir={}),
        mounts(configMap={"name": "team"}),
        mounts(persistentVolumeClaim={"claimName": "team"}),
    ],
)
def test_by_default_a_job_may_what_it_could_in_job_executor(asked: Task) -> None:
    assert refused(asked) == []


@pytest.mark.parametrize(
    "name",
    [
        "keptn-api-token",
        "keptn-mongo",
        "keptn-default-token-x7k2p",
        "bridge-credentials",
        "bridge-oauth",
        "git-credentials-sockshop",
        "mongodb-credentials",
        "job-service-keptn-secrets",
        "firstmate",
        "firstmate-door",
        "sh.helm.release.v1.keptn.v3",
    ],
)
def test_by_default_no_job_gets_a_secret_of_keptns_or_helms_or_ours(name: str) -> None:
    assert refused(asks_for_secret(name)) == ["secrets"]
    assert refused(mounts(secret={"secretName": name})) == ["secrets"]
    assert refused(pod(imagePullSecrets=[name])) == ["secrets"]


@pytest.mark.parametrize("name", ["firstmate", "keptn-mongo", "datadir-keptn-mongo-0"])
def test_by_default_no_job_mounts_the_ledger_or_keptns_data(name: str) -> None:
    asked = mounts(persistentVolumeClaim={"claimName": name})
    assert refused(asked) == ["persistentVolumeClaims"]


def test_by_default_no_job_mounts_the_files_that_we_keep_for_others() -> None:
    assert refused(mounts(configMap={"name": "firstmate-files-1"})) == ["configMaps"]


@pytest.mark.parametrize("name", ["firstmate", "keptn-shipyard-controller", "job-executor-service"])
def test_by_default_no_job_runs_as_keptn_or_as_this_service(name: str) -> None:
    assert refused(task(serviceAccount=name)) == ["serviceAccounts"]


def test_what_is_protected_is_allowed_by_its_whole_name_only() -> None:
    asked = asks_for_secret("git-credentials-sockshop")

    assert refused(asked, secrets=["*", "git-credentials-*"]) == ["secrets"]
    assert refused(asked, secrets=["git-credentials-sockshop"]) == []


@pytest.mark.parametrize("name", ["default", "firstmate-jobs", ""])
def test_the_account_that_every_job_gets_may_be_named_as_well(name: str) -> None:
    terms = Terms(service_account="firstmate-jobs")
    assert refused(task(serviceAccount=name), terms, serviceAccounts=[]) == []


def test_namespaces_are_those_of_the_variable_and_a_rule_may_narrow_them() -> None:
    terms = Terms(namespaces=("jobs", "more-jobs"))

    assert refused(task(namespace="more-jobs"), terms) == []
    assert refused(task(namespace="keptn"), terms) == ["namespaces"]
    assert refused(task(namespace="more-jobs"), terms, namespaces=[]) == ["namespaces"]
    assert refused(task(namespace="jobs"), terms, namespaces=[]) == []
    assert refused(task(), terms, namespaces=[]) == []


@pytest.mark.parametrize(
    ("asked", "rules", "rule"),
    [
        (task(image="evil/x"), {"images": ["docker.io/library/*"]}, "images"),
        (task(), {"images": ["*@sha256:*"]}, "images"),
        (task(namespace="other"), {"namespaces": ["jobs-*"]}, "namespaces"),
        (task(serviceAccount="root"), {"serviceAccounts": ["team-*"]}, "serviceAccounts"),
        (asks_for_secret("other"), {"secrets": ["team-*"]}, "secrets"),
        (mounts(secret={"secretName": "other"}), {"secrets": ["team-*"]}, "secrets"),
        (pod(imagePullSecrets=["other"]), {"secrets": ["team-*"]}, "secrets"),
        (mounts(configMap={"name": "other"}), {"configMaps": ["team-*"]}, "configMaps"),
        (
            mounts(persistentVolumeClaim={"claimName": "other"}),
            {"persistentVolumeClaims": []},
            "persistentVolumeClaims",
        ),
        (mounts(emptyDir={"sizeLimit": "1Gi"}), {"volumes": ["secret"]}, "volumes"),
        (mounts(secret={"secretName": "team"}), {"volumes": ["emptyDir"]}, "volumes"),
        (security(privileged=True), {"privileged": False}, "privileged"),
        (
            security(allowPrivilegeEscalation=True),
            {"allowPrivilegeEscalation": False},
            "allowPrivilegeEscalation",
        ),
        (
            security(capabilities={"add": ["CHOWN"]}),
            {"capabilities": [], "privileged": False},
            "capabilities",
        ),
        (security(runAsUser=0), {"runAsRoot": False}, "runAsRoot"),
        (security(procMount="Unmasked"), {"unconfined": False}, "unconfined"),
        (security(seccompProfile={"type": "Unconfined"}), {"unconfined": False}, "unconfined"),
        (task(maxPollDuration=61), {"deadlineSeconds": 60}, "deadlineSeconds"),
        (task(resources={"limits": {"cpu": "2001m"}}), {"cpu": "2"}, "cpu"),
        (task(resources={"limits": {"memory": "1Gi"}}), {"memory": "1G"}, "memory"),
    ],
)
def test_a_rule_forbids_what_it_does_not_allow(
    asked: Task, rules: dict[str, Any], rule: str
) -> None:
    assert refused(asked, OPEN, **rules) == [rule]
    assert refused(asked, OPEN) == []


@pytest.mark.parametrize("name", ["ALL", "SYS_ADMIN", "CAP_SYS_ADMIN", "net_admin"])
def test_capabilities_beyond_the_baseline_go_with_privileged_containers(name: str) -> None:
    asked = security(capabilities={"add": [name]})

    assert refused(asked) == ["capabilities"]
    assert refused(asked, OPEN) == []
    assert refused(asked, OPEN, privileged=False) == ["capabilities"]
    assert refused(asked, capabilities=[name]) == []


@pytest.mark.parametrize(
    ("keys", "deadline", "seconds"),
    [
        ({}, 0, 300),
        ({"maxPollDuration": 20, "retries": 4}, 0, 100),
        ({"maxPollDuration": 20, "retries": 4, "activeDeadlineSeconds": 50}, 0, 50),
        ({"maxPollDuration": 20, "retries": 4, "activeDeadlineSeconds": 50}, 10, 50),
        ({"maxPollDuration": 20, "retries": 4}, 30, 30),
        ({"maxPollDuration": 20, "activeDeadlineSeconds": 1000}, 0, 20),
    ],
)
def test_a_deadline_counts_what_all_attempts_may_take(
    keys: dict[str, Any], deadline: int, seconds: int
) -> None:
    terms = Terms(deadline=deadline)

    assert refused(task(**keys), terms, deadlineSeconds=seconds) == []
    assert refused(task(**keys), terms, deadlineSeconds=seconds - 1) == ["deadlineSeconds"]


@pytest.mark.parametrize(
    ("keys", "within"),
    [
        ({"resources": {"limits": {"memory": "1024Mi", "cpu": "1e0"}}}, True),
        ({"resources": {"limits": {"memory": "1073741825", "cpu": "1"}}}, False),
        ({"resources": {"limits": {"memory": ".5G", "cpu": "1001m"}}}, False),
        ({"resources": {"limits": {"memory": "1Gib", "cpu": "1"}}}, False),
        ({"resources": {"limits": {"memory": "-1", "cpu": "1"}}}, False),
        ({"resources": {}}, False),
        ({}, True),
    ],
)
def test_a_ceiling_is_kept_to_the_byte_and_asks_for_a_limit(
    keys: dict[str, Any], within: bool
) -> None:
    given = Resources.model_validate({"limits": {"cpu": "1", "memory": "512Mi"}})
    terms = Terms(resources=given)

    assert (refused(task(**keys), terms, cpu="1", memory="1Gi") == []) is within


def test_without_defaults_of_the_operator_a_task_has_to_name_its_limits() -> None:
    assert refused(task(), memory="1Gi") == ["memory"]


def test_all_that_is_forbidden_is_told_with_rule_and_value() -> None:
    asked = task(
        image="evil/x", serviceAccount="keptn-default", resources={"limits": {"memory": "2Gi"}}
    )
    rules = Rules.model_validate({"images": ["docker.io/library/*"], "memory": "1Gi"})

    assert [*forbidden(asked, rules, Terms())] == [
        "`images`: evil/x fits none of docker.io/library/*",
        f"`serviceAccounts`: keptn-default {PROTECTED}",
        "`memory`: resources.limits.memory is 2Gi, and 1Gi is the most that is allowed",
    ]


def test_a_projects_key_comes_before_the_general_one_and_that_before_the_variable() -> None:
    file = read(
        f"{HEAD}rules: {{secrets: [a], images: [b]}}\n"
        "projects: {sockshop: {images: [c], secrets: null}, podtato: {secrets: []}}\n"
    )
    general = Terms(images="v").rules()

    def held(project: str) -> tuple[Any, Any]:
        rules = file.of(project, general)
        return rules.images, rules.secrets

    assert held("sockshop") == (("c",), ("a",))
    assert held("podtato") == (("b",), ())
    assert held("other") == (("b",), ("a",))
    assert PolicyFile().of("other", general) == general
    assert general.images == ("v",)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{}", "1:1: the file begins with `apiVersion: firstmate/v1`"),
        (f"{HEAD}rule: {{}}", "2:1: rule: unknown key, did you mean `rules`"),
        (f"{HEAD}rules: {{image: []}}", "2:9: rules.image: unknown key, did you mean `images`"),
        (f"{HEAD}projects: {{p: {{secret: []}}}}", "2:16: projects.p.secret: unknown key, did you"),
        (f"{HEAD}rules: {{images: a}}", "2:17: rules.images: must be a list such as [a, b]"),
        (f"{HEAD}rules: {{images: ['[']}}", "2:18: rules.images[0]: `[` begins no range"),
        (
            f"{HEAD}rules: {{memory: 1GB}}",
            "2:17: rules.memory: '1GB' is no quantity: write 500m, 2 or 128Mi",
        ),
        (f"{HEAD}rules: {{privileged: 1}}", "2:21: rules.privileged: must be true or false"),
        (f"{HEAD}rules: {{volumes: [hostPath]}}", "2:19: rules.volumes[0]: must be one of"),
        (f"{HEAD}rules: {{deadlineSeconds: -1}}", "2:26: rules.deadlineSeconds: must be 0 or more"),
        (f"{HEAD}rules: {{}}\nrules: {{}}", "3:1: key `rules` is written twice"),
        ("{", ": no valid YAML"),
    ],
)
def test_a_fault_is_told_with_its_place_and_the_nearest_known_key(text: str, problem: str) -> None:
    with pytest.raises(FileError) as caught:
        read(text)
    assert any(problem in one for one in caught.value.problems), caught.value.problems
