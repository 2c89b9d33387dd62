"""The policy in force: what a task asks for, held against variables and file together.

What a refusal becomes is decided in planning.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pydantic.alias_generators import to_camel, to_snake

from app.document.scalars import shown
from app.document.watched import Watched
from app.jobconfig.quantities import quantity
from app.jobconfig.schema import Action, SeccompProfile, SecurityContext, Task
from app.policy.globs import image_names, matches_any
from app.policy.rules import PROTECTED, PolicyFile, Rules, Terms, read

_REMEDY = (
    "change the task, or ask the operator for it"
    " (POLICY_FILE, ALLOWED_IMAGE_LIST, ALLOW_PRIVILEGED_JOBS)"
)


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the policy says of a plan: nothing is refused, or why; `version` is the file's."""

    version: str
    refusals: tuple[str, ...]

    @property
    def message(self) -> str:
        """The rule, the task and the remedy, in one line for people."""
        policy = f"the operator's policy ({self.version or 'without a POLICY_FILE'})"
        return f"Forbidden by {policy}, nothing was launched: {'; '.join(self.refusals)}; {_REMEDY}"


class Policy:
    """What the operator lets tasks ask for.

    Raises:
        Permanent: a variable, or the file as it is at the start, cannot be used.
    """

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._general = terms.rules()
        self._file = Watched("POLICY_FILE", terms.file, self._load, (PolicyFile(), ""))

    @property
    def fault(self) -> str:
        """Why the file that lies there now is not in force; empty when it is, or there is none."""
        self._file.refreshed()
        return self._file.fault

    def ruling(self, actions: Iterable[Action], project: str) -> Ruling:
        """What the policy as it is now says of all tasks of these actions."""
        file, version = self._file.refreshed()
        rules = file.of(project, self._general)
        refusals = (
            f"Task '{task.name}' of action '{action.name}': {refusal}"
            for action in actions
            for task in action.tasks
            for refusal in forbidden(task, rules, self._terms)
        )
        return Ruling(version, tuple(refusals))

    def _load(self, text: str) -> tuple[PolicyFile, str]:
        """The file with its version, which `sha256sum` tells as well."""
        version = hashlib.sha256(text.encode()).hexdigest()[:12]
        return read(text, str(self._terms.file)), version


def forbidden(task: Task, rules: Rules, terms: Terms) -> Iterator[str]:
    """Each thing that the task asks for and may not have, with the key of the rule in front."""
    if not any(matches_any(name, rules.images) for name in image_names(task.image)):
        yield f"`images`: {shown(task.image, 200)} fits none of {_list(rules.images)}"
    for rule, name in _names(task, rules, terms):
        if why := _refused(name, getattr(rules, rule), PROTECTED.get(rule, ())):
            yield f"`{to_camel(rule)}`: {shown(name, 200)} {why}"
    for is_asked, rule, words in _rights(task.security_context):
        if is_asked and not getattr(rules, rule):
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


def _rights(context: SecurityContext) -> list[tuple[object, str, str]]:
    """The rights that a rule may deny: whether a container asks for it, its rule, and its words."""
    escalates, proc_mount = context.allow_privilege_escalation, context.proc_mount or "Default"
    seccomp = context.seccomp_profile or SeccompProfile()
    return [
        (context.privileged, "privileged", "privileged: true"),
        (escalates, "allow_privilege_escalation", "allowPrivilegeEscalation: true"),
        (context.run_as_user == 0, "run_as_root", "runAsUser: 0"),
        (proc_mount != "Default", "unconfined", f"procMount: {proc_mount}"),
        (seccomp.type == "Unconfined", "unconfined", "seccompProfile: Unconfined"),
    ]


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
    seconds = task.attempt_seconds * (task.retries + 1)
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
