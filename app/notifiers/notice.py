"""What people read of an event: one line, its facts, and of a failure the end of the log. Pure.

How a platform shows it stands in `webhook`; who is told stands in `app.routes`.
"""

import contextlib
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict

from app.events import Event, build, grammar

HEAD_CHARACTERS, GOOD_CHARACTERS, FAILURE_CHARACTERS = 400, 500, 2440
"""A failure's cause stands first in its message, the log's end last: 2,000 characters are kept."""

LINE_CHARACTERS, LABELS, LONGEST_LINK = 190, 10, 1000
_MARKER_CHARACTERS = 40
_COLOURS = {"good": 0x2EB67D, "warning": 0xECB22E, "attention": 0xE01E5A, "default": 0x8A8D91}
"""By the words that Adaptive Cards have for colours."""


class Notice(BaseModel):
    """The facts of one event; `template` is the route's own, pinned when the event came."""

    model_config = ConfigDict(frozen=True)

    id: str
    type: str
    source: str
    time: str
    context: str
    project: str
    stage: str
    service: str
    task: str
    phase: str
    status: str
    result: str
    link: str
    labels: dict[str, str]
    text: str = ""
    template: Any = None

    @property
    def outcome(self) -> str:
        """What came of it: the status, unless it is the usual one, before the result."""
        words = ("" if self.status == "succeeded" else self.status, self.result)
        return " ".join(filter(None, words))

    @property
    def mood(self) -> str:
        """Good, warning, attention or, while nothing is decided, default."""
        known = {"": "default", "pass": "good", "warning": "warning"}
        return known.get(self.outcome, "attention")

    def line(self, missed: int = 0) -> str:
        """All in one line; `missed` earlier notices could not be delivered."""
        place = "/".join(filter(None, (self.project, self.stage, self.service))) or self.source
        line = cut(" ".join(filter(None, (f"{place}:", self.task, self.phase, self.outcome))))
        lost = f" ({missed} earlier message{'s' * (missed > 1)} could not be delivered)"
        return line + lost * bool(missed)

    def values(self, missed: int = 0) -> dict[str, str | int]:
        """What the names in a template stand for."""
        colour = _COLOURS[self.mood]
        return self.model_dump(exclude={"template"}) | {
            "line": self.line(missed),
            "outcome": self.outcome,
            "labels": ", ".join(f"{key}={value}" for key, value in self.labels.items()),
            "mood": self.mood,
            "colour": f"#{colour:06X}",
            "colourNumber": colour,
        }


MADE = ("line", "outcome", "mood", "colour", "colourNumber")
NAMES = tuple(sorted({*Notice.model_fields, *MADE} - {"template"}))
"""What a template may name."""


def of(event: Event, bridge_url: str) -> Notice:
    """What is told of an event; where nothing ended, a result in it is that of an earlier task."""
    labels = list(event.labels.items())
    facts = {key: event.named(key) for key in ("project", "stage", "service", "status", "result")}
    stage, facts["task"], facts["phase"] = _subject(event.type)
    facts["stage"] = facts["stage"] or stage
    if facts["phase"] != "finished":
        facts["status"] = facts["result"] = ""
    facts |= {"id": event.id, "type": event.type, "source": event.source}
    facts["context"] = event.shkeptncontext
    notice = Notice(
        **{key: cut(value) for key, value in facts.items()},
        time=_time(event.time),
        link=_link(event, bridge_url),
        labels={cut(key, 80, 40): cut(one, 80, 40) for key, one in labels[:LABELS]},
    )
    limit = FAILURE_CHARACTERS if notice.mood == "attention" else GOOD_CHARACTERS
    text = (event.named("message") or _problem(event)).strip()
    return notice.model_copy(update={"text": cut(text, limit, HEAD_CHARACTERS)})


def cut(text: str, limit: int = LINE_CHARACTERS, head: int = LINE_CHARACTERS // 2) -> str:
    """At most `limit` characters: the head, a marker that tells how many are missing, the tail."""
    if len(text) <= limit:
        return text
    tail = max(0, limit - head - _MARKER_CHARACTERS)
    missing = len(text) - head - tail
    return f"{text[:head]} [... {missing} characters cut ...] {text[len(text) - tail :]}".rstrip()


def _time(text: str) -> str:
    """In one form, or nothing, where it names no moment of our calendar."""
    moment = build.seconds(text)
    with contextlib.suppress(ValueError, OverflowError):
        return build.timestamp(moment) if moment else ""
    return ""


def _subject(event_type: str) -> tuple[str, str, str]:
    """(stage, task or sequence, phase) as far as the type tells them."""
    task = grammar.task_event(event_type) or (event_type.removeprefix(f"{grammar.PREFIX}."), "")
    return grammar.sequence_event(event_type) or ("", *task)


def _link(event: Event, bridge_url: str) -> str:
    project, context = quote(event.named("project"), ""), quote(event.shkeptncontext, "")
    link = f"{bridge_url}/project/{project}/sequence/{context}"
    return link if bridge_url and project and context and len(link) <= LONGEST_LINK else ""


def _problem(event: Event) -> str:
    """The title of a problem, whose keys monitoring tools write as they like."""
    found = event.datum("problem")
    keys = {key.lower(): one for key, one in found.items()} if isinstance(found, dict) else {}
    return str(keys.get("problemtitle") or keys.get("title") or "")
