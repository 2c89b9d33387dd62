"""The Role: each verb is needed for something that a test shows, and nothing else is asked for."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable

import pytest

from tests.kube import rules, test_engine, test_files, test_trouble
from tests.kube.harbour import Harbour

pytestmark = pytest.mark.slow

PROOFS: dict[tuple[str, str], Callable[..., Awaitable[None]]] = {
    ("create", "configmaps"): test_files.test_a_tasks_files_stand_below_keptn,
    ("create", "jobs"): test_engine.test_a_launch_is_made_once_however_often_it_is_asked,
    ("delete", "configmaps"): test_files.test_files_that_nobody_used_for_a_day_are_removed,
    ("delete", "jobs"): test_trouble.test_cancelled_work_ends_before_it_is_told,
    ("get", "pods/log"): test_engine.test_the_output_outlives_the_pod_until_it_is_forgotten,
    ("list", "configmaps"): test_files.test_files_that_nobody_used_for_a_day_are_removed,
    ("list", "events"): test_trouble.test_warnings_about_a_failed_pod_are_told,
    ("list", "jobs"): test_engine.test_a_restart_attaches_what_runs_and_what_has_ended,
    ("list", "pods"): test_engine.test_a_restart_attaches_what_runs_and_what_has_ended,
    ("watch", "jobs"): test_engine.test_a_job_that_passes_costs_two_calls,
    ("watch", "pods"): test_engine.test_a_job_that_passes_costs_two_calls,
}
"""The right, and the test that fails without it."""

ENOUGH = 5.0
"""Seconds after which a test that waits for what it may not see has failed; it takes less than one
with the right."""


def test_there_is_a_proof_for_every_right_of_the_role() -> None:
    assert PROOFS.keys() == rules.Rights().allowed


@pytest.mark.parametrize(
    "proof", sorted(set(PROOFS.values()), key=str), ids=lambda one: one.__name__
)
async def test_with_the_role_nothing_more_is_asked_for(
    harbour: Harbour, monkeypatch: pytest.MonkeyPatch, proof: Callable[..., Awaitable[None]]
) -> None:
    await _play(proof, harbour, monkeypatch)
    assert not harbour.kube.refused
    assert not [right for right in harbour.kube.calls if "secrets" in right[1]]


@pytest.mark.parametrize(
    "right",
    [
        pytest.param(right, id=f"{' '.join(right)} - {PROOFS[right].__name__}")
        for right in sorted(PROOFS)
    ],
)
async def test_without_one_verb_a_named_test_fails(
    harbour: Harbour, monkeypatch: pytest.MonkeyPatch, right: tuple[str, str]
) -> None:
    harbour.kube.rights.without(*right)
    with pytest.raises(Exception):  # noqa: B017 - however it fails
        await _play(PROOFS[right], harbour, monkeypatch)
    assert harbour.kube.refused[right]


async def _play(
    test: Callable[..., Awaitable[None]], harbour: Harbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run another test of ours with what it asks for."""
    given = {"harbour": harbour, "monkeypatch": monkeypatch}
    async with asyncio.timeout(ENOUGH):
        await test(**{name: given[name] for name in inspect.signature(test).parameters})
