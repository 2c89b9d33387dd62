"""The kind `webhook`: a template filled with the notice's facts, within the platform's limits.

The templates are files beside this one; limits and escapes are facts of the platforms.
"""

import html
import json
import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from app.notifiers import template
from app.notifiers.channel import Channel, Notifier
from app.notifiers.notice import Notice, cut

LINE_ROOM, FACT_ROOM = 250, 1000
"""Discord's 256 for a title and 1,024 for a field are the least of all platforms."""

_RAW = ("link", "time", "id")
"""Values that are made to have nothing to escape; `id` only tells duplicates."""

_GAP = "\N{ZERO WIDTH SPACE}"
_MARKDOWN = re.compile(r"([\\`*_~|<>\[\]])")


def _slack(text: str) -> str:
    """Slack reads links and mentions in angle brackets only."""
    return _unfenced(html.escape(text, quote=False))


def _markdown(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", _unpinged(text))


def _paragraphs(text: str) -> str:
    """Adaptive Cards have no blocks of code, and join lines without an empty one between."""
    return _markdown(text).replace("\n", "\n\n")


def _code(text: str) -> str:
    """In a block of code nothing but its end has a meaning."""
    return _unfenced(_unpinged(text))


def _unfenced(text: str) -> str:
    return text.replace("```", f"`{_GAP}`{_GAP}`")


def _unpinged(text: str) -> str:
    return text.replace("@", f"@{_GAP}")


class Platform(NamedTuple):
    """How to escape facts and `text`, and the room for `text`.

    Rooms are below the documented limits (Slack: 3,000 a section; Discord: 4,096 a description;
    Teams: 28 KB of UTF-16 a card; Mattermost: 7,900 an attachment), counted in UTF-16 units, which
    are never fewer than anybody's characters.
    """

    escape: Callable[[str], str] = str
    escape_text: Callable[[str], str] = str
    room: int = 16_000


PLATFORMS = {
    "json": Platform(),
    "slack": Platform(_slack, _slack, 2900),
    "teams": Platform(_markdown, _paragraphs, 6000),
    "discord": Platform(_markdown, _code, 3900),
    "mattermost": Platform(_markdown, _code, 6000),
}


class WebhookNotifier(Notifier):
    """POSTs a JSON document; the header `idempotency-key` is the same when it comes again."""

    async def deliver(self, body: str, missed: int) -> str:
        """Render the notice as the platform wants it, and send it."""
        notice = Notice.model_validate_json(body)
        headers = {"content-type": "application/json", "idempotency-key": quote(notice.id)}
        return await self.post(json.dumps(rendered(notice, self.channel, missed)), headers)


def rendered(notice: Notice, channel: Channel, missed: int = 0) -> Any:
    """The document that a channel is sent."""
    platform, values = PLATFORMS[channel.format], notice.values(missed)
    for name in values.keys() - {*_RAW, "colourNumber"}:
        room = LINE_ROOM if name == "line" else FACT_ROOM
        values[name] = fitted(str(values[name]), platform.escape, room)
    values["text"] = fitted(notice.text, platform.escape_text, platform.room)
    return template.filled(notice.template or channel.template or ready(channel.format), values)


def fitted(text: str, escape: Callable[[str], str], room: int) -> str:
    """The escaped text, with so much cut from its middle that there is room for it."""
    keep = len(text)
    while (size := _units(shown := escape(cut(text, keep, keep // 6)))) > room:
        keep = min(keep - 1, keep * room // size)
    return shown


@lru_cache
def ready(name: str) -> Any:
    """The template that comes with a platform."""
    return json.loads((Path(__file__).parent / "templates" / f"{name}.json").read_text())


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
