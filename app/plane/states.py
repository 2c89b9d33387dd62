"""How a run looks from outside: one state per Keptn context, over all stages. A view only."""

from collections.abc import Callable

from app.plane.store import Document

Events = Callable[[str, str], list[Document]]
"""The events of a context in a stage, newest first."""


def runs(executions: list[Document]) -> list[list[Document]]:
    """Executions, newest first, put together by context; those of each run oldest first."""
    found: dict[str, list[Document]] = {}
    for execution in executions:
        found.setdefault(execution["scope"]["keptnContext"], []).insert(0, execution)
    return list(found.values())


def state_of(executions: list[Document]) -> str:
    """Finished once nothing is open any more, unless something timed out."""
    states = {execution["status"]["state"] for execution in executions}
    return next((word for word in ("started", "timedOut") if word in states), "finished")


def view(run: list[Document], events: Events) -> Document:
    """The run as Keptn's sequence API shows it."""
    scope = run[0]["scope"]
    context = scope["keptnContext"]
    stages: dict[str, list[Document]] = {}
    for execution in run:
        stages.setdefault(execution["scope"]["stage"], []).append(execution)
    return {
        "name": run[0]["sequence"]["name"],
        **{key: scope[key] for key in ("project", "service")},
        "time": run[0]["triggeredAt"],
        "shkeptncontext": context,
        "state": state_of(run),
        "stages": [
            {"name": name, "state": state_of(of_stage), **_latest(events(context, name))}
            for name, of_stage in stages.items()
        ],
    }


def _latest(events: list[Document]) -> Document:
    failed = [event for event in events if event["data"].get("result") == "fail"]
    found = {"latestEvent": events, "latestFailedEvent": failed}
    return {
        name: {key: of[0][key] for key in ("type", "id", "time")}
        for name, of in found.items()
        if of
    }
