"""`firstmate check --cluster`: what keeps the service from its work, seen from where it runs."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from app.cli import main
from app.engines.kubernetes import inspection
from tests.clocks import FastClock
from tests.deploy import manifests
from tests.kube import rules
from tests.kube.server import Kube
from tests.strict.client import StrictKeptn

pytestmark = pytest.mark.slow

RIGHTS = [f"{verb} {resource}" for verb, resource in sorted(rules.Rights().allowed)]
EVERY = "sh.keptn.event.*.triggered"
FINISHED = "sh.keptn.event.*.*.finished"
NOWHERE = "http://127.0.0.1:9"


class Pod:
    """The pod of the service: its environment, and what `firstmate check --cluster` says there."""

    def __init__(self, kube: Kube, keptn: StrictKeptn, folder: Path) -> None:
        self.kube = kube
        self.keptn = keptn
        account = folder / "account"
        account.mkdir()
        (account / "token").write_text(kube.token)
        (account / "namespace").write_text("keptn")
        self.environ = {
            "KUBERNETES_API_URL": kube.url,
            "SERVICE_ACCOUNT_PATH": str(account),
            "HOSTNAME": "firstmate-5d8f7c9b6-x2x7k",
            "JOB_NAMESPACE": "jobs",
            "KEPTN_DISTRIBUTOR_URL": keptn.sidecar_url,
        }

    async def check(self, *words: str, **environ: str) -> Result:
        """Run the command; the double answers meanwhile."""
        given = self.environ | environ
        command = ["check", "--cluster", *words]
        return await asyncio.to_thread(CliRunner().invoke, main, command, env=given)

    async def lines(self, *severities: str, **environ: str) -> list[str]:
        """The lines of these severities, or all."""
        said = (await self.check(**environ)).output.splitlines()
        return [line for line in said if line.startswith(severities or "")]


@pytest.fixture
async def pod(strict: StrictKeptn, tmp_path: Path, clock: FastClock) -> AsyncIterator[Pod]:
    strict.reset()
    async with Kube(clock).running() as kube:
        yield Pod(kube, strict, tmp_path)
        strict.reset()


async def test_where_all_is_well_each_check_has_its_line_and_nothing_was_changed(pod: Pod) -> None:
    pod.keptn.register("firstmate", EVERY, FINISHED)
    done = await pod.check("--strict")
    assert done.exit_code == 0, done.output
    assert [line.partition(": ")[2] for line in done.output.splitlines()] == [
        "policy: can be read",
        "namespace jobs: grants all rights that we need",
        f"Keptn: answers at {pod.keptn.sidecar_url}",
    ]
    assert not pod.kube.bodies
    assert not pod.kube.all("jobs")


def test_the_rights_that_are_needed_are_those_that_deploy_grants() -> None:
    granted = {
        f"{verb} {resource}"
        for rule in manifests.role_rules()
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert granted == set(inspection.NEEDED)


@pytest.mark.parametrize("right", RIGHTS, ids=lambda one: one.replace("/", "-"))
async def test_a_missing_right_is_told_with_its_effect_and_the_rule_to_add(
    pod: Pod, right: str
) -> None:
    verb, resource = right.split()
    pod.kube.rights.without(verb, resource)
    done = await pod.check()
    (line,) = [one for one in done.output.splitlines() if "add to our Role" in one]
    rule = yaml.safe_load(line.partition("add to our Role there: ")[2])
    assert done.exit_code == 1
    assert line.startswith(f"error: namespace jobs: we may not {right}: {inspection.NEEDED[right]}")
    group = "batch" if resource == "jobs" else ""
    assert rule == {"apiGroups": [group], "resources": [resource], "verbs": [verb]}


async def test_each_namespace_is_looked_at_by_itself(pod: Pod) -> None:
    pod.kube.closed.add("more")
    lines = await pod.lines(JOB_NAMESPACE="jobs, more")
    assert "ok: namespace jobs: grants all rights that we need" in lines
    assert len([one for one in lines if "namespace more: we may not" in one]) == len(RIGHTS)


@pytest.mark.parametrize("right", inspection.DANGEROUS)
async def test_a_right_that_only_an_intruder_would_use_is_a_warning(pod: Pod, right: str) -> None:
    verb, resource = right.split()
    pod.kube.rights.allowed.add((verb, resource))
    (line,) = await pod.lines("warning")
    assert f"lets us {right}" in line
    assert ((await pod.check()).exit_code, (await pod.check("--strict")).exit_code) == (0, 1)


async def test_where_nobody_tells_of_rights_they_are_unknown(pod: Pod) -> None:
    pod.kube.reviewing = False
    lines = await pod.lines()
    unknown = [line for line in lines if re.match(r"unknown: namespace jobs: may we ", line)]
    assert len(unknown) == len(RIGHTS)
    assert not [line for line in lines if line.startswith("error")]
    assert "ok: namespace jobs: grants all rights that we need" not in lines


async def test_a_cluster_that_does_not_answer_is_one_line_and_keptn_is_asked_still(
    pod: Pod,
) -> None:
    lines = await pod.lines(KUBERNETES_API_URL=NOWHERE)
    (broken,) = [line for line in lines if line.startswith("error")]
    assert broken.startswith("error: cluster: POST ")
    assert lines[-1].startswith("ok: Keptn: answers at ")


async def test_files_of_the_operator_that_cannot_be_used_are_told(pod: Pod, tmp_path: Path) -> None:
    gone = str(tmp_path / "gone")
    lines = await pod.lines("error", POLICY_FILE=gone, JOB_DEFAULTS_FILE=gone)
    assert [line.split(": ")[1] for line in lines] == ["policy", "cluster"]
    assert "JOB_DEFAULTS_FILE" in lines[1]


async def test_a_live_job_executor_is_an_error_with_the_command_that_ends_it(pod: Pod) -> None:
    pod.keptn.register("job-executor-service", "sh.keptn.event.test.triggered")
    done = await pod.check()
    assert done.exit_code == 1
    assert done.output.endswith(
        "error: Keptn: job-executor-service in keptn lives, and would do every task a second time;"
        " kubectl -n keptn scale deployment job-executor-service --replicas=0\n"
    )


@pytest.mark.parametrize(
    ("name", "events", "more"),
    [
        ("job-executor-service", ["sh.keptn.event.test.triggered"], {"ago": 600}),
        ("job-executor-service", ["sh.keptn.event.test.finished"], {}),
        ("job-executor-service", [], {}),
        ("lighthouse-service", ["sh.keptn.event.evaluation.triggered"], {}),
        ("notifier", [FINISHED], {}),
        ("firstmate", [EVERY], {}),
    ],
    ids=["gone", "listens only", "without subscriptions", "of one task", "of sequences", "us"],
)
async def test_others_that_do_not_answer_our_tasks_are_left_alone(
    pod: Pod, name: str, events: list[str], more: dict[str, int]
) -> None:
    pod.keptn.register(name, *events, **more)  # type: ignore[arg-type]
    assert not await pod.lines("error", "warning")


@pytest.mark.parametrize(("name", "namespace"), [("firstmate", "other"), ("second", "keptn")])
async def test_another_that_answers_every_task_is_an_error(
    pod: Pod, name: str, namespace: str
) -> None:
    pod.keptn.register(name, EVERY, namespace=namespace)
    (line,) = await pod.lines("error")
    assert line.endswith(f"kubectl -n {namespace} scale deployment {name} --replicas=0")


async def test_the_api_is_asked_with_its_token(pod: Pod) -> None:
    api = {"KEPTN_API_ENDPOINT": pod.keptn.api_url, "KEPTN_API_TOKEN": pod.keptn.token}
    assert f"ok: Keptn: answers at {pod.keptn.api_url}" in await pod.lines(**api)
    (line,) = await pod.lines("error", **api | {"KEPTN_API_TOKEN": "wrong"})
    assert "status 401" in line
    assert "mend KEPTN_API_ENDPOINT and its token" in line
    assert "wrong" not in line


async def test_a_keptn_that_does_not_answer_is_an_error(pod: Pod) -> None:
    (line,) = await pod.lines("error", KEPTN_DISTRIBUTOR_URL=NOWHERE)
    assert "no connection" in line


@pytest.mark.parametrize(("path", "status"), [("/nothing", 500), ("/api/nothing", 404)])
async def test_what_answers_but_not_as_keptn_does_is_an_error(
    pod: Pod, path: str, status: int
) -> None:
    (line,) = await pod.lines("error", KEPTN_DISTRIBUTOR_URL=f"{pod.keptn.sidecar_url}{path}")
    assert f"status {status}" in line


async def test_a_keptn_that_does_not_tell_leaves_it_unknown_who_else_answers(pod: Pod) -> None:
    pod.keptn.faults({"mode": "404", "where": "uniform"})
    (line,) = await pod.lines("unknown")
    assert "does not tell who else answers" in line


async def test_json_has_an_object_for_each_line(pod: Pod) -> None:
    found = json.loads((await pod.check("--json")).output)
    assert found[0] == {"severity": "ok", "subject": "policy", "text": "can be read"}


async def test_it_looks_at_no_files(pod: Pod) -> None:
    done = await pod.check("jobconfig.yaml")
    assert (done.exit_code, "no FILES" in done.output) == (2, True)


def test_without_its_extra_it_says_what_to_install(tmp_path: Path) -> None:
    start = (
        "sys.modules['kubernetes'] = None; from app.cli import main; main(['check', '--cluster'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {start}"],
        env={**os.environ, "KUBERNETES_API_URL": NOWHERE, "DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "error: cluster: Kubernetes Jobs need the extra" in done.stdout
