"""How a run looks from outside: one state per Keptn context, over all stages. A view only."""

from collections.abc import Callable

from app.plane.store import Document

Events = Callable[[str, str], list[Document]]
"""The events of a context in a stage, newest first."""


def grouped(executions: list[Document], key: str) -> dict[str, list[Document]]:
    """Executions put together by a key of their scope, in the order in which they came."""
    found: dict[str, list[Document]] = {}
    for execution in executions:
        found.setdefault(execution["scope"][key], []).append(execution)
    return found


def state_of(executions: list[Document]) -> str:
    """Finished once nothing is open any more, unless something timed out."""
    states = {execution["status"]["state"] for execution in executions}
    return next((word for word in ("started", "timedOut") if word in states), "finished")


def view(run: list[Document], events: Events) -> Document:
    """The run as Keptn's sequence API shows it."""
    first = min(reversed(run), key=lambda execution: str(execution["triggeredAt"]))
    scope = first["scope"]
    context = scope["keptnContext"]
    stages = grouped(run[::-1], "stage").items()
    shown = {"name": first["sequence"]["name"], "time": first["triggeredAt"]}
    shown |= {key: scope[key] for key in ("project", "service")} | {"shkeptncontext": context}
    shown |= {"state": state_of(run)}
    return shown | {
        "stages": [_stage(name, its_own, events(context, name)) for name, its_own in stages]
    }


def _stage(name: str, executions: list[Document], events: list[Document]) -> Document:
    failed = [event for event in events if event["data"].get("result") == "fail"]
    latest = {"latestEvent": events, "latestFailedEvent": failed}
    shown = {
        title: {key: found[0][key] for key in ("type", "id", "time")}
        for title, found in latest.items()
        if found
    }
    return {"name": name, "state": state_of(executions), **shown}
