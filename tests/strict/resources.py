"""The resource service: files of a project's git repository by level and commit (§3.3).

A project's commits are numbered as they were made; a read at one sees what was written until then.
"""

import base64
import re
import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, unquote_plus

from tests.strict.lookups import number, paged
from tests.strict.validation import Refused

Place = tuple[str, str, str, str]
"""Project, stage, service and uri; stage and service may be empty."""

Version = tuple[int, bytes | None]
"""The number of a commit, and what it made of the file; None deletes it."""

NO_ROUTE = "404 page not found"
"""The router's word, not the service's."""

_PATH = re.compile("/project/([^/]+)(?:/stage/([^/]+)(?:/service/([^/]+))?)?/resource(?:/([^/]+))?")


@dataclass
class Resources:
    """What is in git, and which places answer oddly for a while."""

    commits: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    files: dict[Place, list[Version]] = field(default_factory=lambda: defaultdict(list))
    known: set[tuple[str, ...]] = field(default_factory=set)

    def put(self, order: Mapping[str, Any]) -> str:
        """Write `content`, in base64 (null deletes), as `commit`; the answer is the commit."""
        names = [order.get(name) or "" for name in ("project", "stage", "service", "uri")]
        place: Place = (names[0], names[1], names[2], names[3])
        commits = self.commits[place[0]]
        commit = order.get("commit") or uuid.uuid4().hex
        if commit not in commits:
            commits.append(commit)
        encoded = order.get("content")
        content = None if encoded is None else base64.b64decode(encoded)
        self.files[place].append((commits.index(commit), content))
        self.know(*place[:3])
        return str(commit)

    def know(self, project: str, stage: str, service: str) -> None:
        """The project, its stage and its service exist."""
        self.known |= {(project,), (project, stage), (project, stage, service)}

    def forget(self, gone: Callable[[tuple[str, ...]], bool]) -> None:
        """These places, and what is there, exist no more."""
        self.known = {place for place in self.known if not gone(place)}
        for place in [place for place in self.files if gone(place)]:
            del self.files[place]

    def level(self, raw_path: str) -> dict[str, str]:
        """The level whose list of resources this path names."""
        merged = re.sub("/+", "/", raw_path)  # by nginx, and by Go
        found = _PATH.fullmatch(merged.partition("-service/v1")[2])
        if found is None or found[4] is not None:
            raise Refused(404, NO_ROUTE)
        names = [unquote(part or "") for part in found.groups()[:3]]
        self._require(*names)
        return dict(zip(("project", "stage", "service"), names, strict=True))

    def head(self, project: str) -> str:
        """The newest commit, or an empty text."""
        return (self.commits.get(project) or [""])[-1]

    def answer(self, raw_path: str, query: Mapping[str, str]) -> dict[str, Any]:
        """GET of one resource or of a list; `raw_path` is still escaped: `a/b` is no route."""
        found = _PATH.fullmatch(raw_path)
        if found is None:
            raise Refused(404, NO_ROUTE)
        project, stage, service = (unquote(part or "") for part in found.groups()[:3])
        self._require(project, stage, service)
        if found[4] is None:
            return self._listing((project, stage, service), query)
        commit, uri = query.get("gitCommitID", ""), unquote_plus(found[4])
        if ".." in uri or "~" in uri:
            raise Refused(400, "invalid resource URI")
        content = self._read((project, stage, service, uri), commit)
        return {
            "resourceURI": found[4],
            "resourceContent": base64.b64encode(content).decode(),
            "metadata": {"upstreamURL": "", "version": commit or self.head(project)},
        }

    def _require(self, project: str, stage: str, service: str) -> None:
        """404 names the first thing missing."""
        levels = {
            "Project": (project,),
            "Stage": (project, stage),
            "Service": (project, stage, service),
        }
        for level, key in levels.items():
            if all(key) and key not in self.known:
                raise Refused(404, f"{level} not found")

    def _listing(self, scope: tuple[str, str, str], query: Mapping[str, str]) -> dict[str, Any]:
        """The newest names whatever commit is asked for, without content; other levels' hidden."""
        names = sorted(
            place[3]
            for place, versions in self.files.items()
            if place[:3] == scope and versions[-1][1] is not None
        )
        page, following = paged(names, query, number(query, "pageSize", 20))
        metadata = {"upstreamURL": "", "version": self.head(scope[0])}
        return {
            "resources": [{"resourceURI": f"/{name}", "metadata": metadata} for name in page],
            "nextPageKey": str(following),
            "totalCount": len(names),
        }

    def _read(self, place: Place, commit: str) -> bytes:
        """The content; a commit that git does not know is a 500, as is a folder of now."""
        commits = self.commits[place[0]]
        if commit and commit not in commits:
            raise Refused(500, "could not check out commit: object not found")
        until = commits.index(commit) if commit else len(commits)
        versions = [content for number, content in self.files.get(place, ()) if number <= until]
        inside = f"{place[3]}/"
        folder = any(each[:3] == place[:3] and each[3].startswith(inside) for each in self.files)
        if folder and not commit:
            raise Refused(500, "Internal server error")
        if not versions or versions[-1] is None:
            raise Refused(404, "Resource not found")
        return versions[-1]
