"""`firstmate check --cluster`: whether cluster and Keptn let the service do its work.

What is asked of them stands beside their clients; here the answers become lines for people.
"""

import asyncio
import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from app import settings
from app.cli import remote
from app.clock import Clock
from app.engines.kubernetes import inspection
from app.errors import FirstmateError
from app.keptn.uniform import Integration
from app.main import endpoint_for
from app.outbound import Refused
from app.river import cluster_for, own_namespace, policy_for
from app.settings import Settings, comma_list

if TYPE_CHECKING:
    from app.engines.kubernetes.client import Cluster


class Finding(NamedTuple):
    """One line for people: `severity` is ok, unknown, warning or error."""

    severity: str
    subject: str
    text: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.subject}: {self.text}"


def findings() -> list[Finding]:
    """All that can be seen from here; nothing in the cluster or in Keptn is changed."""
    given = settings.load()
    found = _told("policy", lambda: _policy(given))
    found += _told("cluster", lambda: asyncio.run(_cluster(given)))
    return found + (_keptn(given) if given.connected else [])


def _told(subject: str, look: Callable[[], list[Finding]]) -> list[Finding]:
    try:
        return look()
    except FirstmateError as error:
        return [Finding("error", subject, str(error))]


def _policy(given: Settings) -> list[Finding]:
    policy_for(given)
    return [Finding("ok", "policy", "can be read")]


async def _cluster(given: Settings) -> list[Finding]:
    cluster, site = cluster_for(given, Clock())
    try:
        return [one for each in site.namespaces for one in await _rights(cluster, each)]
    finally:
        await cluster.close()


async def _rights(cluster: "Cluster", namespace: str) -> list[Finding]:
    """What we may not do and should, and the other way round."""
    where, found = f"namespace {namespace}", list[Finding]()
    for right, harm in inspection.NEEDED.items():
        verb, _, resource = right.partition(" ")
        rule = {"apiGroups": [inspection.group(resource)], "resources": [resource], "verbs": [verb]}
        given = await inspection.is_given(cluster, namespace, right)
        if given is None:
            found.append(Finding("unknown", where, f"may we {right}? If not, {harm}"))
        elif not given:
            text = f"we may not {right}: {harm}; add to our Role there: {rule}"
            found.append(Finding("error", where, text))
    found = found or [Finding("ok", where, "grants all rights that we need")]
    for right in inspection.DANGEROUS:
        if await inspection.is_given(cluster, namespace, right):
            text = f"lets us {right}, which is never needed; take it out of our Role"
            found.append(Finding("warning", where, text))
    return found


def _keptn(given: Settings) -> list[Finding]:
    endpoint = endpoint_for(given)
    try:
        with remote.asking(lambda: remote.Place(endpoint.base, endpoint.token())) as keptn:
            registered = keptn.wait(keptn.integrations())
    except FirstmateError as error:
        severity = "unknown" if isinstance(error, Refused) and error.explained else "error"
        remedy = "mend KEPTN_API_ENDPOINT and its token, or KEPTN_DISTRIBUTOR_URL"
        text = f"does not tell who else answers: {error}; {remedy}"
        return [Finding(severity, "Keptn", text)]
    others = [one for one in registered if one.is_live(Clock().now()) and one.answers_our_tasks()]
    doubling = [_doubling(one) for one in others if not _is_ours(given, one)]
    return [Finding("ok", "Keptn", f"answers at {endpoint.base}"), *doubling]


def _doubling(other: Integration) -> Finding:
    """What to do against somebody who answers our tasks too."""
    words = ("kubectl", "-n", other.namespace or "keptn", "scale", "deployment")
    remedy = shlex.join((*words, other.deployment or other.name, "--replicas=0"))
    text = f"{other.name} in {other.namespace} lives, and would do every task a second time"
    return Finding("error", "Keptn", f"{text}; {remedy}")


def _is_ours(given: Settings, one: Integration) -> bool:
    """Whether we registered it, or our own sidecar, under our Deployment's name."""
    names = {given.full_deployment_name, given.hostname.rsplit("-", 2)[0]}
    names |= {*comma_list(given.uniform_names)}
    return one.name in names and own_namespace(given) in ("", one.namespace)
