"""`firstmate check --cluster`: whether cluster and Keptn let the service do its work.

What is asked of them stands beside their clients; here the answers become lines for people.
"""

import asyncio
import shlex
from collections.abc import AsyncIterator, Awaitable
from typing import TYPE_CHECKING, NamedTuple

from app import settings as reading
from app.clock import Clock
from app.engines.kubernetes import inspection
from app.engines.kubernetes.port import Kind, Where
from app.engines.kubernetes.site import Site
from app.errors import FirstmateError, Permanent
from app.keptn.api import KeptnApi
from app.keptn.uniform import Integration
from app.main import endpoint_for, routes_for
from app.outbound import Outbound, Refused
from app.river import cluster_for, own_namespace, policy_for
from app.settings import Settings, comma_list

if TYPE_CHECKING:
    from app.engines.kubernetes.client import Cluster

_UNANSWERED = ("cannot get", "dry run")
"""Words of a cluster that refuses the question, so that the answer is not known."""


class Finding(NamedTuple):
    """One line for people: `severity` is ok, unknown, warning or error."""

    severity: str
    subject: str
    text: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.subject}: {self.text}"


def findings() -> list[Finding]:
    """All that can be seen from here; nothing in the cluster or in Keptn is changed."""

    async def look() -> list[Finding]:
        given, clock = reading.load(), Clock()
        outbound = Outbound(given.keptn_ca_file, verify=given.http_ssl_verify)
        try:
            return [one async for one in _everything(given, clock, outbound)]
        finally:
            await outbound.close()

    return asyncio.run(look())


async def _everything(given: Settings, clock: Clock, outbound: Outbound) -> AsyncIterator[Finding]:
    yield await _claim("settings", "go together", asyncio.to_thread(reading.check, given))
    yield await _claim("routes", "can be read", asyncio.to_thread(routes_for, given, outbound))
    yield await _claim("policy", "can be read", asyncio.to_thread(policy_for, given))
    try:
        cluster, site = cluster_for(given, clock)
        try:
            async for one in _cluster(cluster, site):
                yield one
        finally:
            await cluster.close()
    except FirstmateError as error:
        yield Finding("error", "cluster", str(error))
    if given.connected:
        async for one in _keptn(given, clock, KeptnApi(endpoint_for(given), outbound)):
            yield one


async def _cluster(cluster: "Cluster", site: Site) -> AsyncIterator[Finding]:
    account = site.service_account or "default"
    try:
        site = await inspection.with_image(cluster, site)
        yield Finding("ok", "image", f"{site.init_image} brings files to jobs")
    except Permanent as error:
        text = f"tasks with files have none: {error}; set INIT_CONTAINER_IMAGE"
        yield Finding("error", "image", text)
    for name in site.namespaces:
        where = f"namespace {name}"
        async for one in _rights(cluster, name):
            yield one
        judged = inspection.rehearse(cluster, site, name)
        remedy = "mend what it names, or JOB_DEFAULTS_FILE and DEFAULT_RESOURCE_*, for all Jobs"
        yield await _claim(where, "takes a Job like those of tasks", judged, remedy)
        there = cluster.get(Where(Kind.SERVICE_ACCOUNT, name), account)
        remedy = f"if it is not there: kubectl -n {name} create serviceaccount {account}"
        yield await _claim(where, f"has the service account {account} for jobs", there, remedy)


async def _rights(cluster: "Cluster", namespace: str) -> AsyncIterator[Finding]:
    """What we may not do and should, and the other way round."""
    where, complete = f"namespace {namespace}", True
    for right, harm in inspection.NEEDED.items():
        verb, _, resource = right.partition(" ")
        rule = {"apiGroups": [inspection.group(resource)], "resources": [resource], "verbs": [verb]}
        given = await inspection.is_given(cluster, namespace, right)
        complete &= given is True
        if given is None:
            yield Finding("unknown", where, f"may we {right}? If not, {harm}")
        elif not given:
            text = f"we may not {right}: {harm}; add to our Role there: {rule}"
            yield Finding("error", where, text)
    if complete:
        yield Finding("ok", where, "grants all rights that we need")
    for right in inspection.DANGEROUS:
        if await inspection.is_given(cluster, namespace, right):
            text = f"lets us {right}, which is never needed; take it out of our Role"
            yield Finding("warning", where, text)


async def _keptn(given: Settings, clock: Clock, api: KeptnApi) -> AsyncIterator[Finding]:
    try:
        others = [one for one in await api.integrations() if not _is_ours(given, one)]
    except FirstmateError as error:
        severity = "unknown" if isinstance(error, Refused) and error.explained else "error"
        remedy = "mend KEPTN_API_ENDPOINT and its token, or KEPTN_DISTRIBUTOR_URL"
        yield Finding(severity, "Keptn", f"does not tell who else answers: {error}; {remedy}")
        return
    yield Finding("ok", "Keptn", f"answers at {api.endpoint.base}")
    for one in others:
        if one.is_live(clock.now()) and one.answers_our_tasks():
            words = ("kubectl", "-n", one.namespace or "keptn", "scale", "deployment")
            remedy = shlex.join((*words, one.deployment or one.name, "--replicas=0"))
            text = f"{one.name} in {one.namespace} lives, and would do every task a second time"
            yield Finding("error", "Keptn", f"{text}; {remedy}")


def _is_ours(given: Settings, one: Integration) -> bool:
    """Whether we registered it, or our own sidecar, under our Deployment's name."""
    names = {given.full_deployment_name, given.hostname.rsplit("-", 2)[0]}
    names |= {*comma_list(given.uniform_names)}
    return one.name in names and own_namespace(given) in ("", one.namespace)


async def _claim(subject: str, claim: str, answer: Awaitable[object], remedy: str = "") -> Finding:
    """Whether it is so; else why not, which may name the remedy itself."""
    try:
        await answer
    except FirstmateError as error:
        is_open = any(words in str(error) for words in _UNANSWERED)
        text = f"{claim}? {error}" + f"; {remedy}" * bool(remedy)
        return Finding("unknown" if is_open else "error", subject, text)
    return Finding("ok", subject, claim)
