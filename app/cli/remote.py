"""The Keptn that a command speaks to: which one it is, and one request after the other.

What is asked for, and how the answer is shown, is the commands' business.
"""

import asyncio
import base64
import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from app import settings
from app.errors import Permanent
from app.events.parse import Event
from app.keptn.api import Endpoint, KeptnApi, folder, mapping
from app.ledger import guard
from app.outbound import Outbound, Unclear, json_object

AUTH_FILE = "keptn.auth.json"
"""What `firstmate auth` saves, in DATA_DIR, readable by its owner only."""


class Level(NamedTuple):
    """Where resources are: a project, one of its stages, or a service there."""

    project: str
    stage: str = ""
    service: str = ""

    @property
    def name(self) -> str:
        """The level's word."""
        return "service" if self.service else "stage" if self.stage else "project"

    @property
    def event(self) -> Event:
        """What asks for the level's resources where otherwise an event would."""
        return Event(specversion="1.0", id="-", source="-", type="-", data=self._asdict())


class Place(NamedTuple):
    """A Keptn's API; the embedded one is our own plane's."""

    base: str
    token: str
    embedded: bool = False


class Remote(KeptnApi):
    """A Keptn that is asked one thing after the other."""

    def __init__(self, place: Place, runner: asyncio.Runner, outbound: Outbound) -> None:
        events, token = f"{place.base}/v1/event", lambda: place.token
        super().__init__(Endpoint(place.base, events, final=True, token=token), outbound)
        self.place = place
        self._run = runner.run

    def ask(self, method: str, path: str, body: Any = None, **params: str) -> dict[str, Any]:
        """The JSON object that is answered, which may be empty; errors are `app.outbound`'s."""
        url = f"{self.place.base}/{path}"
        content = None if body is None else json.dumps(body)
        headers = self._headers() | {"content-type": "application/json"}
        reply = self._run(
            self._outbound.request(method, url, headers=headers, params=params, content=content)
        )
        if (found := json_object(reply.content or b"{}")) is None:
            raise Unclear(f"{url} answers, but not as Keptn's API: is the endpoint right?")
        return found

    def started(self, path: str, body: Any) -> str:
        """Ask for what starts a run; the answer is its Keptn context."""
        context = self.ask("POST", path, body).get("keptnContext")
        if not context:
            raise Unclear(f"{self.place.base} answers, but not as Keptn's API")
        return str(context)

    def create_project(
        self, name: str, shipyard: bytes, *, git_remote_url: str, git_user: str, git_token: str
    ) -> None:
        """Create a project; before 0.18 Keptn knew the flat form of its Git only."""
        body: dict[str, Any] = {"name": name, "shipyard": base64.b64encode(shipyard).decode()}
        if git_remote_url:
            https = {"token": git_token, "insecureSkipTLS": False}
            nested = {"remoteURL": git_remote_url, "user": git_user, "https": https}
            flat = {"gitRemoteURL": git_remote_url, "gitUser": git_user, "gitToken": git_token}
            body |= flat | {"gitCredentials": nested}
        self.ask("POST", control("project"), body)

    def projects(self, name: str = "") -> list[dict[str, Any]]:
        """The views of all projects, or of one, with stages and services."""
        found = self._run(self._entries(control("project"), "projects"))
        return [one for one in found if name in ("", one["projectName"])]

    def events(self, pages: int, **query: str) -> list[Any]:
        """Stored events, the newest first; of so many pages at most."""
        found, offset = list[Any](), "0"
        for _ in range(pages):
            reply = self.ask("GET", "mongodb-datastore/event", **query, nextPageKey=offset)
            found += reply.get("events") or ()
            if (offset := str(reply.get("nextPageKey") or "0")) == "0":
                break
        return found

    def stages(self, project: str) -> list[str]:
        """The names of a project's stages, in the shipyard's order."""
        return [level.stage for level in self.levels(project) if level.name == "stage"]

    def levels(self, project: str) -> list[Level]:
        """All levels of a project that there is, from the top."""
        stages = self.ask("GET", control("project", project)).get("stages") or ()
        found = [Level(project)]
        for stage in map(mapping, stages):
            name = str(stage["stageName"])
            services = map(mapping, stage.get("services") or ())
            found += [Level(project, name)]
            found += [Level(project, name, str(one["serviceName"])) for one in services]
        return found

    def files(self, level: Level) -> Iterator[tuple[str, bytes]]:
        """The name and content of each resource of a level."""
        for uri in self._run(self.listed(level.event, level.name)):
            if found := self._run(self.read(level.event, uri, level.name, "")):
                yield uri, found.content

    def write(self, level: Level, files: Mapping[str, bytes]) -> None:
        """Create or replace resources of a level, in one commit."""
        encoded = {uri: base64.b64encode(content).decode() for uri, content in files.items()}
        listed = [{"resourceURI": uri, "resourceContent": text} for uri, text in encoded.items()]
        self.ask("POST", folder(level.event, level.name), {"resources": listed})


def control(*parts: str) -> str:
    """A path of the shipyard controller's API."""
    return "/".join(("controlPlane/v1", *(quote(part, safe="") for part in parts)))


def chosen() -> Place:
    """The live Keptn, if one is known, else the embedded plane."""
    return _known() or embedded()


def live() -> Place:
    """The live Keptn: that of KEPTN_API_ENDPOINT, else the one that `auth` was told of.

    Raises:
        Permanent: none is known.
    """
    if found := _known():
        return found
    raise Permanent("no live Keptn is known: use `firstmate auth`, or set KEPTN_API_ENDPOINT")


def embedded() -> Place:
    """The plane of the service that runs on DATA_DIR.

    Raises:
        Permanent: none does.
    """
    data = settings.load().data_dir
    if not (base := guard.read_holder(data).get("api")):
        raise Permanent(
            f"no control plane runs on DATA_DIR {data}: start `firstmate serve` with the same"
            " DATA_DIR, or name a Keptn with `firstmate auth` or KEPTN_API_ENDPOINT"
        )
    return Place(base, (data / settings.TOKEN_FILE).read_text().strip(), embedded=True)


def named(endpoint: str, token: str) -> Place:
    """The live Keptn at a URL; one without a path ends in /api."""
    base = settings.load(keptn_api_endpoint=endpoint).keptn_api_endpoint
    return Place(base if urlsplit(base).path else f"{base}/api", token)


def save(place: Place) -> None:
    """Remember a live Keptn, where its owner only can read it."""
    path = _auth_file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump([place.base, place.token], file)


def forget() -> str:
    """Forget what was saved; the answer tells so."""
    _auth_file().unlink(missing_ok=True)
    return "Forgotten"


@contextlib.contextmanager
def asking(place: Callable[[], Place] = chosen) -> Iterator[Remote]:
    """Ask a Keptn until the end of the block."""
    there, outbound = place(), Outbound()
    with asyncio.Runner() as runner:
        try:
            yield Remote(there, runner, outbound)
        finally:
            runner.run(outbound.close())


def _known() -> Place | None:
    found = settings.load()
    if found.keptn_api_endpoint:
        return Place(found.keptn_api_endpoint, found.api_token())
    with contextlib.suppress(FileNotFoundError):
        return Place(*json.loads(_auth_file().read_text()))
    return None


def _auth_file() -> Path:
    return settings.load().data_dir / AUTH_FILE
