"""`firstmate check --cluster`: whether cluster and Keptn let the service do its work.

What is asked of them stands beside their clients; here the answers become lines for people.
"""

import asyncio
import shlex
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, NamedTuple

from app import settings as reading
from app.clock import Clock
from app.engines.kubernetes import inspection
from app.errors import FirstmateError
from app.keptn.api import KeptnApi
from app.keptn.uniform import Integration
from app.main import endpoint_for
from app.outbound import Outbound, Refused
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


def check() -> list[Finding]:
    """All that can be seen from here; nothing in the cluster or in Keptn is changed."""

    async def look() -> list[Finding]:
        return [one async for one in _everything(reading.load(), Clock())]

    return asyncio.run(look())


async def _everything(given: Settings, clock: Clock) -> AsyncIterator[Finding]:
    try:
        await asyncio.to_thread(policy_for, given)
        yield Finding("ok", "policy", "can be read")
    except FirstmateError as error:
        yield Finding("error", "policy", str(error))
    try:
        cluster, site = cluster_for(given, clock)
        try:
            for namespace in site.namespaces:
                async for one in _rights(cluster, namespace):
                    yield one
        finally:
            await cluster.close()
    except FirstmateError as error:
        yield Finding("error", "cluster", str(error))
    if given.connected:
        outbound = Outbound(given.keptn_ca_file, verify=given.http_ssl_verify)
        try:
            async for one in _keptn(given, clock, KeptnApi(endpoint_for(given), outbound)):
                yield one
        finally:
            await outbound.close()


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
