"""The Keptn that a command speaks to: which one it is, and one request after the other.

What is asked for, and how the answer is shown, is the commands' business.
"""

import asyncio
import contextlib
import json
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from app import settings
from app.clock import Clock
from app.errors import Permanent
from app.events.parse import Event
from app.keptn.api import Endpoint, KeptnApi
from app.keptn.resources import Patient
from app.ledger import guard
from app.outbound import Outbound, Unclear, json_object

AUTH_FILE = "keptn.auth.json"
"""What `firstmate auth` saves, in DATA_DIR, readable by its owner only."""

CONTROL = "controlPlane/v1"
EVENTS = "v1/event"
PROJECTS = f"{CONTROL}/project"

_KINDS = ("project", "stage", "service")
Level = tuple[str, ...]
"""A project; a project and its stage; or these and a service."""


class Place(NamedTuple):
    """A Keptn's API; the embedded one is our own plane's."""

    base: str
    token: str
    embedded: bool = False


class Remote(KeptnApi):
    """A Keptn that is asked one thing after the other; errors are those of `app.outbound`."""

    def __init__(self, place: Place, runner: asyncio.Runner, outbound: Outbound) -> None:
        events, token = f"{place.base}/{EVENTS}", lambda: place.token
        super().__init__(Endpoint(place.base, events, final=True, token=token), outbound)
        self.place = place
        self.wait = runner.run
        """Do one of the asynchronous calls."""

    def ask(
        self, method: str, path: str, body: Any = None, *, wants: str = "", **params: str
    ) -> dict[str, Any]:
        """The JSON object that is answered, with the key that it `wants`; none is an empty one."""
        url, sent = f"{self.place.base}/{path}", None if body is None else json.dumps(body)
        found = json_object(self.wait(self._call(method, url, sent, **params)) or b"{}")
        if found is None or (wants and wants not in found):
            raise Unclear(f"{url} answers, but not as Keptn's API: mend the endpoint")
        return found

    def started(self, path: str, body: Any) -> str:
        """Ask for what starts a run; the answer is its Keptn context."""
        return str(self.ask("POST", path, body, wants="keptnContext")["keptnContext"])

    def events(self, pages: int, **query: str) -> list[dict[str, Any]]:
        """What the datastore has, the newest first, on so many pages at most."""
        found, page = list[dict[str, Any]](), "0"
        for _ in range(pages or sys.maxsize):
            reply = self.ask("GET", "mongodb-datastore/event", **query, nextPageKey=page)
            found += reply.get("events") or ()
            if (page := str(reply.get("nextPageKey") or "0")) == "0":
                break
        return found

    def views(self, project: str) -> list[dict[str, Any]]:
        """How all projects look, or one, with stages and services.

        Raises:
            Permanent: there is no such project.
        """
        every = self.wait(self.projects())
        found = [one for one in every if project in ("", one["projectName"])]
        if project and not found:
            self.ask("GET", PROJECTS, wants="projects")  # or it is no Keptn at all
            known = ", ".join(one["projectName"] for one in every) or "none"
            raise Permanent(f"no project {project} at {self.place.base}; there are: {known}")
        return found

    def stages(self, project: str) -> list[str]:
        """The names of a project's stages, in the shipyard's order."""
        return [stage["stageName"] for view in self.views(project) for stage in view["stages"]]

    def require(self, project: str, stage: str, service: str) -> None:
        """See that there is such a service; our own plane takes any that it does not know yet.

        Raises:
            Permanent: naming what is not there, and what is.
        """
        levels, wanted = self.levels(project), (project, stage, service)
        for depth in (2,) if self.place.embedded else (2, 3):
            if wanted[:depth] not in levels:
                *above, name = wanted[:depth]
                there = ", ".join(one[-1] for one in levels if [*one[:-1]] == above) or "none"
                place = f"{_KINDS[depth - 1]} {name} in {'/'.join(above)}"
                raise Permanent(f"no {place} at {self.place.base}; there are: {there}")

    def levels(self, project: str) -> list[Level]:
        """All levels of a project, from the top."""
        found = list[Level]()
        for view in self.views(project):
            found.append((project,))
            for stage in view["stages"]:
                at = (project, stage["stageName"])
                found += [at, *((*at, one["serviceName"]) for one in stage["services"])]
        return found

    def files(self, level: Level, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
        """The name and content of each resource of a level whose name is wanted."""
        kind, where = _KINDS[len(level) - 1], dict(zip(_KINDS, level, strict=False))
        event = Event(specversion="1.0", id="-", source="-", type="-", data=where)
        source = Patient(self, Clock())  # a project is many files, and Keptn's Git is slow
        for uri in filter(wanted, self.wait(source.listed(event, kind))):
            if not (found := self.wait(source.read(event, uri, kind, ""))):
                raise Permanent(f"{uri} of {'/'.join(level)} is listed, but Keptn does not find it")
            yield uri, found.content

    def write(self, level: Level, uri: str, content: bytes) -> None:
        """Create or replace a resource of a level."""
        at = [part for pair in zip(_KINDS, level, strict=False) for part in pair]
        resource = {"resourceURI": uri, "resourceContent": b64encode(content).decode()}
        body = json.dumps({"resources": [resource]})

        async def post(home: str, _: int) -> bytes:
            url = path(f"{self.place.base}/{home}/v1", *at, "resource")
            return await self._call("POST", url, body)

        self.wait(self._of_files(post))


def path(base: str, *parts: str) -> str:
    """A path in one of Keptn's APIs."""
    return "/".join([base, *(quote(part, safe="") for part in parts)])


def live() -> Place:
    """The live Keptn: that of KEPTN_API_ENDPOINT, else the one that `auth` was told of.

    Raises:
        Permanent: none is known.
    """
    if not (found := _known()):
        raise Permanent("no live Keptn is known: use `firstmate auth`, or set KEPTN_API_ENDPOINT")
    return found


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


def chosen() -> Place:
    """The live Keptn, if one is known, else the embedded plane."""
    return _known() or embedded()


def _known() -> Place | None:
    found, saved = settings.load(), _auth_file()
    if not found.keptn_api_endpoint and saved.exists():
        try:
            found = settings.load(**json.loads(saved.read_text()))
        except (ValueError, TypeError):
            raise Permanent(f"{saved} is broken: use `firstmate auth` again, or --forget") from None
    there = found.keptn_api_endpoint
    return Place(there, found.api_token()) if there else None


def save(place: Place) -> None:
    """Remember a live Keptn, where its owner only can read it."""
    forget()
    file = _auth_file()
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file.touch(0o600, exist_ok=False)
    file.write_text(json.dumps({"keptn_api_endpoint": place.base, "keptn_api_token": place.token}))


def forget() -> str:
    """Remember no live Keptn; the answer tells so."""
    _auth_file().unlink(missing_ok=True)
    return "No live Keptn is remembered"


@contextlib.contextmanager
def asking(place: Callable[[], Place] = chosen) -> Iterator[Remote]:
    """Ask a Keptn until the end of the block."""
    there, given = place(), settings.load()
    outbound = Outbound(given.keptn_ca_file, verify=given.http_ssl_verify)
    with asyncio.Runner() as runner:
        try:
            yield Remote(there, runner, outbound)
        finally:
            runner.run(outbound.close())


def _auth_file() -> Path:
    return settings.load().data_dir / AUTH_FILE
