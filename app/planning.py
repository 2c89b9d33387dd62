"""What is to be done for an event: ours or not, by which config, and pinned so that it stays so.

Planning reads; it changes no run, launches nothing, and never waits for a slot.
"""

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass, field, replace
from typing import Protocol

from app.clock import Clock
from app.document.typed import FileError
from app.errors import Temporary
from app.events import Event, Outcome, errored, parse
from app.jobconfig.env import event_map
from app.jobconfig.match import matching, name_matches
from app.jobconfig.read import JobConfig, read, readable_event_names
from app.keptn.resources import CONFIG_RESOURCE, SCOPES, Resource, Source, is_revision
from app.ledger import Run
from app.outbound import Refused
from app.policy.in_force import Policy
from app.policy.rules import Terms

LATE_SECONDS = 120.0
"""An event older than this is first asked for: Keptn may have closed it meanwhile."""

CLOSED = "Keptn no longer waits for an answer to this event"


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be done, whatever changes in Keptn: the config's text and the chosen actions.

    `answered` is false when all of them are silent: then Keptn hears nothing. `commit` is where
    the tasks' files are read; without one they are read as they are then. `policy` is the version
    of the operator's policy that let it pass, empty where no file says one.
    """

    config: str
    level: str
    version: str
    actions: tuple[int, ...]
    answered: bool
    commit: str = ""
    policy: str = ""

    def dump(self) -> str:
        """The plan as text, for the ledger."""
        return json.dumps(asdict(self))

    @staticmethod
    def load(text: str) -> "Plan":
        """The plan that `dump` wrote."""
        fields = json.loads(text)
        return Plan(**{**fields, "actions": tuple(fields["actions"])})

    def read(self) -> JobConfig:
        """The pinned config."""
        return read(self.config, place(self.level))


@dataclass(frozen=True, slots=True)
class Ignore:
    """Nothing is sent: `code` is one word for metrics, `reason` for people.

    `log` says that Keptn's Uniform log must hear of it.
    """

    code: str
    reason: str
    log: bool = False


Decision = Plan | Ignore | Outcome
"""Run this, be silent, or answer at once with this outcome."""


class Keptn(Protocol):
    """Who knows whether an event still waits for its answer."""

    async def is_wanted(self, event: Event) -> bool:
        """Asked of an event that comes late; errors are those of `app.outbound`."""
        ...


@dataclass(frozen=True)
class Planner:
    """Decides; asks Keptn for what it needs to know."""

    api: Keptn
    resources: Source
    clock: Clock
    owned_tasks: Collection[str]
    policy: Policy = field(default_factory=lambda: Policy(Terms()))

    async def decide(self, run: Run, *, ask_first: bool) -> Decision:
        """What to do about a run.

        Raises:
            Temporary: Keptn, or the config in it, cannot be reached now.
        """
        event = parse.restore(run.event)
        decision = await self._decide(run, event, ask_first=ask_first)
        return decision if event.task else _unanswered(decision)

    async def _decide(self, run: Run, event: Event, *, ask_first: bool) -> Decision:
        ask_first |= self.clock.now() - run.happened > LATE_SECONDS
        try:
            if event.task and ask_first and not await self.api.is_wanted(event):
                return Ignore("closed", CLOSED)
            resource = await self._find_config(event)
        except Refused as error:
            raise Temporary(str(error)) from None
        if resource is None:
            scope = f"{run.project}/{run.stage}/{run.service}"
            return Ignore("no config", f"no {CONFIG_RESOURCE} on any level of {scope}")
        try:
            config = read(resource.text, place(resource.level))
        except FileError as error:
            return self._broken(event, resource, error)
        chosen = _choose(config, event, resource)
        return self._permitted(chosen, config, run) if isinstance(chosen, Plan) else chosen

    def _permitted(self, plan: Plan, config: JobConfig, run: Run) -> Decision:
        """The plan, if the operator's policy lets all of it pass: no half of it is ever run."""
        ruling = self.policy.ruling((config.actions[one] for one in plan.actions), run.project)
        if not ruling.refusals:
            return replace(plan, policy=ruling.version)
        if plan.answered:
            return errored("policy", ruling.message)
        return Ignore("policy", ruling.message, log=True)

    async def _find_config(self, event: Event) -> Resource | None:
        """The first level that has a config decides; only a clear "not there" leads to the next."""
        for level in SCOPES:
            found = await self.resources.read(event, CONFIG_RESOURCE, level, event.gitcommitid)
            if found is not None:
                return found
        return None

    def _broken(self, event: Event, resource: Resource, error: FileError) -> Decision:
        """A config that cannot be read is ours to answer only if the event was meant for it."""
        ours = any(name_matches(name, event.type) for name in readable_event_names(resource.text))
        owned = "*" in self.owned_tasks or event.task in self.owned_tasks
        if ours or owned:
            return errored("config", f"the job config cannot be used: {error}")
        return Ignore("broken config", f"the job config cannot be used: {error}", log=True)


def place(level: str) -> str:
    """How a config is named in messages."""
    return f"{CONFIG_RESOURCE} ({level} level)"


def _unanswered(decision: Decision) -> Plan | Ignore:
    """What may be done for an event that nobody waits for an answer to."""
    if isinstance(decision, Plan):
        return replace(decision, answered=False)
    if isinstance(decision, Outcome):
        return Ignore(decision.reason, decision.message, log=True)
    return replace(decision, code="observed", log=False)


def _choose(config: JobConfig, event: Event, resource: Resource) -> Plan | Ignore:
    chosen = tuple(matching(config, event_map(event)))
    if not event.task:  # a loose pattern, such as `deploy`, was never meant for all that follows
        kind = event.type.rpartition(".")[2]
        told = [any(kind in entry.name for entry in one.events) for one in config.actions]
        chosen = tuple(one for one in chosen if told[one])
    if not chosen:
        names = ", ".join(repr(action.name) for action in config.actions) or "none"
        where = f"{place(resource.level)} at version {resource.version or 'unknown'}"
        return Ignore("no match", f"no action matches {event.type} in {where}; it has: {names}")
    answered = any(not config.actions[index].silent for index in chosen)
    level, version = resource.level, resource.version
    commit = event.gitcommitid or version * (level != "project" and is_revision(version))
    return Plan(resource.text, level, version, chosen, answered, commit)
