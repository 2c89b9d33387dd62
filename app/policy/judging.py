"""What a task asks for, held against the rules; pure.

Which rules hold for it, and what becomes of a task that they forbid, is decided elsewhere.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from pydantic.alias_generators import to_camel

from app.document.scalars import shown
from app.jobconfig.quantities import quantity
from app.jobconfig.schema import Capabilities, Resources, SecurityContext, Task
from app.policy.globs import image_names, is_pinned, matches_any
from app.policy.rules import PROTECTED, Rules
from app.tasks.image import DEFAULT_SECONDS


@dataclass(frozen=True, slots=True)
class Given:
    """What the operator's variables give to tasks that ask for nothing else.

    `deadline` is in seconds, 0 for none; `resources` are those of tasks without such a key.
    """

    namespaces: tuple[str, ...] = ()
    service_account: str = ""
    deadline: int = 0
    resources: Resources = field(default_factory=Resources)


def forbidden(task: Task, rules: Rules, given: Given) -> Iterator[str]:
    """Each thing that the task asks for and may not have, with the key of the rule in front."""
    image = shown(task.image, 200)
    if not any(matches_any(name, rules.images) for name in image_names(task.image)):
        yield f"`images`: {image} fits none of {', '.join(rules.images) or 'no patterns'}"
    if rules.require_digest and not is_pinned(task.image):
        yield f"`requireDigest`: {image} is named without its @sha256 digest"
    for rule, name in _names(task, given):
        if why := _refused(name, getattr(rules, rule), PROTECTED.get(rule, ())):
            yield f"`{to_camel(rule)}`: {shown(name, 200)} {why}"
    for rule, words in _rights(task.security_context):
        if not getattr(rules, rule):
            yield f"`{to_camel(rule)}`: {words}"
    yield from _excesses(task, rules, given)


def _names(task: Task, given: Given) -> Iterator[tuple[str, str]]:
    """The names that a task asks for beside what every task gets, each with its rule."""
    if task.namespace and task.namespace not in given.namespaces:
        yield "namespaces", task.namespace
    account = task.service_account or "default"
    if account not in ("default", given.service_account):
        yield "service_accounts", account
    for entry in task.env:
        if entry.value_from == "secret":
            yield "secrets", entry.name
    for capability in (task.security_context.capabilities or Capabilities()).add:
        yield "capabilities", capability


def _refused(name: str, listed: tuple[str, ...], protected: tuple[str, ...]) -> str:
    """Why the list does not allow a name; one that is protected has to stand there in full."""
    if name in listed:
        return ""
    if matches_any(name, protected):
        return "belongs to Keptn, to Helm or to this service, and is not in the list by itself"
    return "" if matches_any(name, listed) else f"fits none of {', '.join(listed) or 'no patterns'}"


def _rights(context: SecurityContext) -> Iterator[tuple[str, str]]:
    """What a container asks for that a rule may deny, each with its rule."""
    if context.privileged:
        yield "privileged", "privileged containers are not allowed (ALLOW_PRIVILEGED_JOBS)"
    if context.allow_privilege_escalation:
        yield "allow_privilege_escalation", "allowPrivilegeEscalation is true"
    if context.run_as_user == 0:
        yield "run_as_root", "runAsUser is 0"
    if context.seccomp_profile and context.seccomp_profile.type == "Unconfined":
        yield "unconfined", "seccompProfile is Unconfined"
    if context.proc_mount not in (None, "", "Default"):
        yield "unconfined", f"procMount is {shown(context.proc_mount)}"


def _excesses(task: Task, rules: Rules, given: Given) -> Iterator[str]:
    """What is above a ceiling, or without the limit that the ceiling asks for."""
    attempt = DEFAULT_SECONDS if task.max_poll_duration is None else task.max_poll_duration
    seconds = attempt * (task.retries + 1)
    seconds = min(seconds, task.active_deadline_seconds or given.deadline or seconds)
    if 0 < rules.deadline_seconds < seconds:
        yield f"`deadlineSeconds`: it may take {seconds} s in all, above {rules.deadline_seconds} s"
    limits = (given.resources if task.resources is None else task.resources).limits
    for rule, most, asked in (
        ("cpu", rules.cpu, limits.cpu),
        ("memory", rules.memory, limits.memory),
    ):
        if most and (why := _above(asked, most)):
            yield f"`{rule}`: resources.limits.{rule} {why}"


def _above(asked: str, most: str) -> str:
    """Why a quantity does not keep to the ceiling."""
    try:
        within = bool(asked) and quantity(asked) <= quantity(most)
    except ValueError as error:
        return str(error)
    return "" if within else f"is {shown(asked) or 'not set'}, and at most {most} is allowed"
