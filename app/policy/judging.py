"""What a task asks for, held against the rules; pure.

Which rules hold for it, and what becomes of a task that they forbid, is decided elsewhere.
"""

from collections.abc import Iterator

from pydantic.alias_generators import to_camel, to_snake

from app.document.scalars import shown
from app.jobconfig.quantities import quantity
from app.jobconfig.schema import SecurityContext, Task
from app.policy.globs import image_names, matches_any
from app.policy.rules import PROTECTED, Rules, Terms
from app.tasks.image import DEFAULT_SECONDS


def forbidden(task: Task, rules: Rules, terms: Terms) -> Iterator[str]:
    """Each thing that the task asks for and may not have, with the key of the rule in front."""
    if not any(matches_any(name, rules.images) for name in image_names(task.image)):
        yield f"`images`: {shown(task.image, 200)} fits none of {_list(rules.images)}"
    for rule, name in _names(task, rules, terms):
        if why := _refused(name, getattr(rules, rule), PROTECTED.get(rule, ())):
            yield f"`{to_camel(rule)}`: {shown(name, 200)} {why}"
    for rule, words in _rights(task.security_context):
        if not getattr(rules, rule):
            yield f"`{to_camel(rule)}`: {words} is not allowed"
    yield from _excesses(task, rules, terms)


def _names(task: Task, rules: Rules, terms: Terms) -> Iterator[tuple[str, str]]:
    """The names that a task asks for beside what every task gets, each with its rule."""
    if task.namespace not in ("", *terms.namespaces[:1]):
        yield "namespaces", task.namespace
    if task.service_account not in (None, "", "default", terms.service_account):
        yield "service_accounts", task.service_account or ""
    yield from (("secrets", name) for name in (*task.secrets, *task.pod.image_pull_secrets))
    for volume in task.pod.volumes:
        for kind, source in volume.source.items():
            yield "volumes", kind
            if kind != "emptyDir":
                yield from ((to_snake(f"{kind}s"), name) for name in source.values())
    capabilities = task.security_context.capabilities
    for name in capabilities.add if capabilities and not rules.privileged else ():
        yield "capabilities", name


def _rights(context: SecurityContext) -> Iterator[tuple[str, str]]:
    """The rights that a container asks for and a rule may deny, each with its rule."""
    if context.privileged:
        yield "privileged", "privileged: true"
    if context.allow_privilege_escalation:
        yield "allow_privilege_escalation", "allowPrivilegeEscalation: true"
    if context.run_as_user == 0:
        yield "run_as_root", "runAsUser: 0"
    if context.proc_mount not in (None, "", "Default"):
        yield "unconfined", f"procMount: {context.proc_mount}"
    if context.seccomp_profile and context.seccomp_profile.type == "Unconfined":
        yield "unconfined", "seccompProfile: Unconfined"


def _refused(name: str, listed: tuple[str, ...], protected: tuple[str, ...]) -> str:
    """Why the list does not allow a name; one that is protected has to stand there in full."""
    if name in listed:
        return ""
    if matches_any(name, protected):
        return "belongs to Keptn, to Helm or to this service, and the rule does not name it"
    return "" if matches_any(name, listed) else f"fits none of {_list(listed)}"


def _list(patterns: tuple[str, ...]) -> str:
    return ", ".join(patterns) or "an empty list"


def _excesses(task: Task, rules: Rules, terms: Terms) -> Iterator[str]:
    """What is above a ceiling, or without the limit that the ceiling asks for."""
    attempt = DEFAULT_SECONDS if task.max_poll_duration is None else task.max_poll_duration
    seconds = attempt * (task.retries + 1)
    seconds = min(seconds, task.active_deadline_seconds or terms.deadline or seconds)
    if 0 < rules.deadline_seconds < seconds:
        yield f"`deadlineSeconds`: it may take {seconds} s in all, above {rules.deadline_seconds} s"
    limits = (terms.resources if task.resources is None else task.resources).limits
    for rule in ("cpu", "memory"):
        most, asked = getattr(rules, rule), getattr(limits, rule)
        if most and (why := _above(asked, most)):
            yield f"`{rule}`: resources.limits.{rule} {why}"


def _above(asked: str, most: str) -> str:
    """Why a quantity does not keep to the ceiling."""
    try:
        within = bool(asked) and quantity(asked) <= quantity(most)
    except ValueError as error:
        return str(error)
    return "" if within else f"is {asked or 'not set'}, and {most} is the most that is allowed"
