"""The grammar of Keptn event types: go-utils counts the non-empty parts between the dots.

Five parts make a task event, six a sequence event, whatever they start with.
"""

PREFIX = "sh.keptn.event"
TASK_PARTS = 5
SEQUENCE_PARTS = 6


def parts(event_type: str) -> list[str]:
    """The parts of a well-formed type, or an empty list."""
    found = event_type.split(".")
    return found if len(found) in (TASK_PARTS, SEQUENCE_PARTS) and all(found) else []


def task_event(event_type: str) -> tuple[str, str] | None:
    """(task, kind) of a task event such as `sh.keptn.event.test.triggered`."""
    found = parts(event_type)
    return (found[3], found[4]) if len(found) == TASK_PARTS else None


def sequence_event(event_type: str) -> tuple[str, str, str] | None:
    """(stage, sequence, kind) of one such as `sh.keptn.event.dev.delivery.triggered`."""
    found = parts(event_type)
    return (found[3], found[4], found[5]) if len(found) == SEQUENCE_PARTS else None


def triggered_task(event_type: str) -> str | None:
    """The task that a `sh.keptn.event.<task>.triggered` asks for; None for every other type."""
    found = task_event(event_type)
    if found is None or found[1] != "triggered" or not event_type.startswith(PREFIX + "."):
        return None
    return found[0]


def of_task(task: str, kind: str) -> str:
    """The type of a task event."""
    return f"{PREFIX}.{task}.{kind}"


def of_sequence(stage: str, sequence: str, kind: str) -> str:
    """The type of a sequence event."""
    return f"{PREFIX}.{stage}.{sequence}.{kind}"
