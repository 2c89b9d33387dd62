"""The grammar of Keptn event types: go-utils counts the non-empty parts between the dots.

Five parts make a task event, six a sequence event, whatever they start with.
"""

PREFIX = "sh.keptn.event"


def task_event(event_type: str) -> tuple[str, str] | None:
    """(task, kind) of a task event such as `sh.keptn.event.test.triggered`."""
    parts = _parts(event_type, 5)
    return (parts[3], parts[4]) if parts else None


def sequence_event(event_type: str) -> tuple[str, str, str] | None:
    """(stage, sequence, kind) of one such as `sh.keptn.event.dev.delivery.triggered`."""
    parts = _parts(event_type, 6)
    return (parts[3], parts[4], parts[5]) if parts else None


def triggered_task(event_type: str) -> str | None:
    """The task that a `sh.keptn.event.<task>.triggered` asks for; None for every other type."""
    found = task_event(event_type)
    return found[0] if found and event_type == of_task(found[0], "triggered") else None


def of_task(task: str, kind: str) -> str:
    """The type of a task event."""
    return f"{PREFIX}.{task}.{kind}"


def of_sequence(stage: str, sequence: str, kind: str) -> str:
    """The type of a sequence event."""
    return f"{PREFIX}.{stage}.{sequence}.{kind}"


def _parts(event_type: str, number: int) -> list[str]:
    """The parts of a type that has so many, and none of them empty; else an empty list."""
    parts = event_type.split(".")
    return parts if len(parts) == number and all(parts) else []
