"""The policy in force: variables and file together, read again when the file changes.

What the rules mean for a task is decided in judging.py; what a refusal becomes, in planning.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from app.document.watched import Watched
from app.jobconfig.schema import Action
from app.policy.judging import forbidden
from app.policy.rules import PolicyFile, Terms, read

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
