"""What routes.yaml may say, as frozen values, and what every kind of channel has in common.

Strict keys; no file is read here, no event is matched, and no platform is known.
"""

import abc
import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from app.document.typed import AS_TEXT, Anything, Int32, Part, Text
from app.outbound import NotSent, Outbound, SecretUrl

RESERVED = ("keptn", "cloudevent")
"""Destinations that are no channels of the file: Keptn itself, and FORWARD_URL."""

Kind = Annotated[Literal["log", "cloudevent", "webhook"], AS_TEXT]
Format = Annotated[Literal["json", "slack", "teams", "discord", "mattermost"], AS_TEXT]
Globs = tuple[Text, ...]
Count = Annotated[Int32, Field(ge=1)]


class Address(Part):
    """Where a URL stands, which is a secret: in a file, or in a variable of the environment."""

    file: Text = ""
    env: Text = ""

    def read(self, environ: Mapping[str, str]) -> str:
        """The URL as it stands there now, which may be nothing."""
        with contextlib.suppress(OSError, UnicodeDecodeError):
            return (Path(self.file).read_text() if self.file else environ.get(self.env, "")).strip()
        return ""


class RateLimit(Part):
    """At most so many messages in so many seconds."""

    messages: Count = 1
    seconds: Count = 1


class Channel(Part):
    """Somebody who can be told."""

    name: Text = ""
    kind: Kind = "webhook"
    format: Format = "json"
    url_from: Address = Address()
    template: Anything = None
    rate_limit: RateLimit | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> "Channel":
        if not re.fullmatch(r"[\w.-]+", self.name) or self.name in RESERVED:
            raise ValueError(f"`name` must be of letters, digits, and . _ -, not {self.name!r}")
        if self.kind != "log" and bool(self.url_from.file) == bool(self.url_from.env):
            raise ValueError("a URL is a secret: `urlFrom` names its `file`, or its variable `env`")
        return self


class Route(Part):
    """Events that fulfil every condition go to these channels; an empty condition is none."""

    events: Globs = ()
    project: Globs = ()
    stage: Globs = ()
    service: Globs = ()
    result: Globs = ()
    status: Globs = ()
    labels: dict[str, Text] = Field(default_factory=dict)
    channels: Globs = ()
    template: Anything = None


class RoutesFile(Part):
    """A whole file."""

    api_version: Text = ""
    channels: tuple[Channel, ...] = ()
    routes: tuple[Route, ...] = ()


@dataclass(frozen=True)
class Notifier(abc.ABC):
    """A channel's way out; `environ` holds the variables that its address may be in."""

    channel: Channel
    outbound: Outbound = field(repr=False)
    environ: Mapping[str, str] = field(repr=False)

    wants_event: ClassVar[bool] = False
    """Whether its letters hold the event itself, or the notice that is made of it."""

    @abc.abstractmethod
    async def deliver(self, body: str, missed: int) -> str:
        """Send a letter once, telling that `missed` others could not be; what was answered.

        Raises:
            FirstmateError: as `app.outbound` does, naming the channel in place of its URL.
            ValueError: this is no letter of such a channel.
        """

    async def post(self, content: str, headers: Mapping[str, str]) -> str:
        """POST it to where the channel's URL leads now."""
        place, url = self.channel.url_from, self.channel.url_from.read(self.environ)
        if not re.fullmatch(r"https?://[^/\s]+\S*", url):
            raise NotSent(f"{self.channel.name}: {place.file or place.env} holds no URL")
        secret = SecretUrl(self.channel.name, url)
        reply = await self.outbound.request("POST", secret, headers=headers, content=content)
        return f"status {reply.status_code}"
