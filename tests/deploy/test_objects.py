"""Every object of deploy/ would be taken by a cluster, and gives away nothing that it need not."""

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from app.routes import read
from app.settings import Settings
from tests.deploy import manifests
from tests.deploy.manifests import DEPLOY, FILES, Object

SCHEMAS = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
MINORS = sorted(int(one.name.split(".")[1]) for one in SCHEMAS.glob("v1.*-local"))
OLDEST = 27

OBJECTS = [
    pytest.param(one, id=f"{file.removesuffix('.yaml')}-{one['kind']}-{one['metadata']['name']}")
    for file in FILES
    for one in manifests.documents(file)
]
CONFIGURATION = (DEPLOY / "configuration.yaml").read_text()
VERSION = tomllib.loads((manifests.ROOT / "pyproject.toml").read_text())["project"]["version"]
TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"


def offered() -> dict[str, str]:
    """The settings that configuration.yaml shows, those in comments too."""
    settings = CONFIGURATION.partition("data:\n")[2].partition("---")[0]
    return dict(re.findall(r"^  (?:# )?([A-Z_]+): (\S+)", settings, re.MULTILINE))


@pytest.mark.parametrize(
    "version",
    [
        pytest.param(f"1.{minor}", marks=() if minor == MINORS[-1] else pytest.mark.slow)
        for minor in MINORS
        if minor >= OLDEST
    ],
)
@pytest.mark.parametrize("document", OBJECTS)
def test_a_cluster_of_any_supported_version_takes_it(document: Object, version: str) -> None:
    kubernetes_validate.validate(document, version, strict=True)


def test_the_page_names_the_versions_that_are_tried() -> None:
    page = (manifests.ROOT / "docs/kubernetes.md").read_text()
    assert f"every Kubernetes from 1.{OLDEST} to 1.{MINORS[-1]}" in page


def test_a_wrong_object_would_be_noticed() -> None:
    wrong = manifests.find("Deployment")
    wrong["spec"]["template"]["spec"]["containers"][0]["enviroment"] = []
    with pytest.raises(kubernetes_validate.ValidationError, match="enviroment"):
        kubernetes_validate.validate(wrong, "1.27", strict=True)


def test_no_object_stands_there_twice() -> None:
    for file in FILES:
        names = [(one["kind"], one["metadata"]["name"]) for one in manifests.documents(file)]
        assert len(names) == len(set(names))


def test_the_namespace_is_left_to_kubectl() -> None:
    for file in ("service.yaml", "configuration.yaml"):
        assert not any("namespace" in one["metadata"] for one in manifests.documents(file))
    apart = [one["metadata"] for one in manifests.documents("jobs-namespace.yaml")]
    assert {one.get("namespace", one["name"]) for one in apart} == {"firstmate-jobs"}


def test_the_pod_is_restricted() -> None:
    pod = manifests.pod()
    assert not pod.keys() & {"hostNetwork", "hostPID", "hostIPC", "hostUsers", "hostAliases"}
    assert not any("hostPath" in one for one in pod["volumes"])
    context = pod["securityContext"]
    assert context["runAsNonRoot"]
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert min(context[name] for name in ("runAsUser", "runAsGroup", "fsGroup")) > 0


@pytest.mark.parametrize("name", ["firstmate", "distributor"])
def test_a_container_has_no_privilege_and_knows_its_limits(name: str) -> None:
    found = manifests.container(name)
    context = found["securityContext"]
    assert context.get("runAsUser", 1) > 0
    assert context["readOnlyRootFilesystem"]
    assert context["privileged"] is context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}
    for part in ("requests", "limits"):
        assert found["resources"][part].keys() == {"cpu", "memory"}
    assert re.search(r":\d+\.\d+\.\d+$", found["image"]), "pinned"


def test_only_our_container_gets_the_token() -> None:
    assert manifests.pod()["automountServiceAccountToken"] is False
    for file in FILES:
        accounts = [one for one in manifests.documents(file) if one["kind"] == "ServiceAccount"]
        assert all(one["automountServiceAccountToken"] is False for one in accounts)
    volume = dict(manifests.mounts())[TOKEN_PATH]
    paths = [
        item["path"]
        for source in volume["projected"]["sources"]
        for kind in source.values()
        for item in kind.get("items", [kind])
    ]
    assert sorted(paths) == ["ca.crt", "namespace", "token"], "what a client in a cluster looks for"
    assert list(manifests.mounts("distributor")) == []


def test_the_probes_ask_the_second_port_and_never_keptn() -> None:
    ours = manifests.container()
    (ops,) = [one for one in ours["ports"] if one["name"] == "ops"]
    assert ops["containerPort"] == Settings.model_fields["ops_port"].default
    asked = {kind: ours[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
    assert {one["port"] for one in asked.values()} == {"ops"}
    assert [asked[kind]["path"] for kind in asked] == ["/health", "/health", "/ready"]


def test_there_is_time_to_drain_before_the_kill() -> None:
    drain = float(manifests.environment("firstmate")["DRAIN_SECONDS"])
    assert manifests.pod()["terminationGracePeriodSeconds"] >= drain + 15


def test_only_the_folder_of_the_ledger_is_kept() -> None:
    kept = {path for path, volume in manifests.mounts() if "persistentVolumeClaim" in volume}
    assert kept == {manifests.environment("firstmate")["DATA_DIR"]}
    assert manifests.find("PersistentVolumeClaim")["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert manifests.find("Deployment")["spec"]["replicas"] == 1
    assert manifests.find("Deployment")["spec"]["strategy"] == {"type": "Recreate"}


def test_every_setting_in_use_is_one_of_ours() -> None:
    known = {name.upper() for name in Settings.model_fields}
    used = manifests.environment("firstmate").keys() | offered().keys()
    assert used <= known


def test_settings_of_the_operator_name_files_that_are_mounted() -> None:
    places = {path for path, _ in manifests.mounts()}
    files = [text for name, text in offered().items() if name.endswith("_FILE")]
    assert files
    assert all(str(Path(one).parent) in places for one in files)


def test_the_configuration_that_we_hand_out_is_accepted() -> None:
    data = manifests.find("ConfigMap", file="configuration.yaml")["data"]
    assert read(data["routes.yaml"]).routes == ()
    wanted = manifests.find("ConfigMap", "firstmate-settings", "configuration.yaml")["data"]
    assert Settings(**{name.lower(): text for name, text in wanted.items()}).routes_file


def test_what_is_referred_to_is_there_or_optional() -> None:
    pod = manifests.pod()
    assert manifests.find("ServiceAccount", pod["serviceAccountName"])
    ours = manifests.environment("firstmate")
    assert manifests.find("ServiceAccount", ours["DEFAULT_JOB_SERVICE_ACCOUNT"])
    assert manifests.find("Role", manifests.find("RoleBinding")["roleRef"]["name"])
    volumes = {one["name"]: one for one in pod["volumes"]}
    assert manifests.find(
        "PersistentVolumeClaim", volumes["data"]["persistentVolumeClaim"]["claimName"]
    )
    assert volumes["files"]["configMap"]["optional"]
    assert volumes["secrets"]["secret"]["optional"]
    assert all(one["configMapRef"]["optional"] for one in manifests.container()["envFrom"])
    labels = manifests.find("Deployment")["spec"]["template"]["metadata"]["labels"]
    for wanted in (
        manifests.find("Service")["spec"]["selector"],
        manifests.find("Deployment")["spec"]["selector"]["matchLabels"],
        manifests.find("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
    ):
        assert wanted.items() <= labels.items()


def test_the_version_is_the_same_everywhere() -> None:
    assert manifests.container()["image"] == f"firstmate:{VERSION}"
    theirs = manifests.environment("distributor")
    assert theirs["VERSION"] == VERSION
    distributor = f"docker.io/keptn/distributor:{theirs['DISTRIBUTOR_VERSION']}"
    assert manifests.container("distributor")["image"] == distributor


def test_the_rights_are_the_same_in_a_namespace_of_jobs() -> None:
    assert manifests.role_rules("jobs-namespace.yaml") == manifests.role_rules()


def test_the_page_gives_a_reason_for_each_right_and_for_no_other() -> None:
    page = (manifests.ROOT / "docs/kubernetes.md").read_text()
    table = page.partition("| resource | verb |")[2].partition("\n\n")[0]
    told, resource = list[tuple[str, str]](), ""
    for line in table.splitlines()[2:]:
        first, verb, *reasons = (cell.strip(" `") for cell in line.strip("|").split("|"))
        resource = first or resource
        told.append((resource, verb))
        assert all(reasons)
    rules = manifests.role_rules()
    needed = [(name, verb) for one in rules for name in one["resources"] for verb in one["verbs"]]
    assert sorted(told) == sorted(needed)


def test_no_right_is_to_read_a_secret_or_to_change_an_object() -> None:
    for rule in manifests.role_rules():
        assert "*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"]
        assert not {"secrets", "pods/exec", "serviceaccounts"} & set(rule["resources"])
        assert not {"update", "patch", "deletecollection", "impersonate"} & set(rule["verbs"])


def test_the_sidecar_pushes_to_the_door_and_takes_the_answers() -> None:
    sidecar = manifests.environment("distributor")
    door = Settings.model_fields
    assert sidecar["PUBSUB_RECIPIENT"] == door["door_host"].default
    assert sidecar["PUBSUB_RECIPIENT_PORT"] == str(door["port"].default)
    assert manifests.environment("firstmate")["KEPTN_DISTRIBUTOR_URL"].endswith(":8081")


@pytest.mark.parametrize(
    ("subject", "taken"),
    [
        ("sh.keptn.event.test.triggered", True),
        ("sh.keptn.event.get-action.triggered", True),
        ("sh.keptn.event.dev.delivery.finished", True),
        ("sh.keptn.event.dev.delivery.triggered", False),
        ("sh.keptn.event.test.finished", False),
        ("sh.keptn.event.test.status.changed", False),
    ],
)
def test_tasks_that_are_triggered_and_ends_of_sequences_are_subscribed_to(
    subject: str, *, taken: bool
) -> None:
    topics = manifests.environment("distributor")["PUBSUB_TOPIC"].split(",")
    patterns = [topic.replace(".", r"\.").replace("*", r"[^.]+") for topic in topics]
    assert any(re.fullmatch(one, subject) for one in patterns) is taken


def test_the_namespace_of_jobs_refuses_what_is_the_hosts() -> None:
    (space,) = [
        one for one in manifests.documents("jobs-namespace.yaml") if one["kind"] == "Namespace"
    ]
    assert space["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "baseline"


@pytest.mark.slow
def test_kustomize_keeps_in_step_what_follows_from_the_namespace(tmp_path: Path) -> None:
    if not (kubectl := shutil.which("kubectl")):
        pytest.skip("kustomize comes with kubectl, which is not on this machine")
    folder = Path(shutil.copytree(DEPLOY, tmp_path / "deploy"))
    file = folder / "kustomization.yaml"
    text = file.read_text().replace("namespace: keptn", "namespace: other")
    file.write_text(text.replace("newName: firstmate", "newName: registry.example/firstmate"))
    made = subprocess.run([kubectl, "kustomize", folder], check=True, capture_output=True)
    objects = {one["kind"]: one for one in yaml.safe_load_all(made.stdout)}
    image = f"registry.example/firstmate:{VERSION}"
    assert json.dumps(objects["Deployment"]).count(image) == 1
    assert objects["RoleBinding"]["subjects"][0]["namespace"] == "other"
    for one in yaml.safe_load_all(made.stdout):
        assert one["metadata"]["namespace"] == "other"
        kubernetes_validate.validate(one, "1.27", strict=True)
