"""The resource service: texts of a project's git repository by level and commit (§3.3).

A project's commits are numbered as they were made; a read at one sees what was written until then.
"""

import base64
import re
import uuid
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, unquote_plus

from tests.strict.validation import Refused

Place = tuple[str, str, str, str]
"""Project, stage, service and uri; stage and service may be empty."""

_PATH = re.compile("/project/([^/]+)(?:/stage/([^/]+)(?:/service/([^/]+))?)?/resource/([^/]+)")


@dataclass
class Resources:
    """What is in git, and which places answer oddly for a while."""

    commits: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    texts: dict[Place, list[tuple[int, str | None]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    known: set[tuple[str, ...]] = field(default_factory=set)

    def put(self, order: Mapping[str, Any]) -> str:
        """Write `content` (null deletes) as `commit`; the answer is the commit."""
        names = [order.get(name) or "" for name in ("project", "stage", "service", "uri")]
        place: Place = (names[0], names[1], names[2], names[3])
        commits = self.commits[place[0]]
        commit = order.get("commit") or uuid.uuid4().hex
        if commit not in commits:
            commits.append(commit)
        self.texts[place].append((commits.index(commit), order.get("content")))
        self.know(*place[:3])
        return str(commit)

    def know(self, project: str, stage: str, service: str) -> None:
        """The project, its stage and its service exist."""
        self.known |= {(project,), (project, stage), (project, stage, service)}

    def head(self, project: str) -> str:
        """The newest commit, or an empty text."""
        return (self.commits.get(project) or [""])[-1]

    def answer(self, raw_path: str, commit: str) -> dict[str, Any]:
        """GET of one resource; `raw_path` is still escaped: an unescaped uri is no route."""
        found = _PATH.fullmatch(raw_path)
        if found is None:
            raise Refused(404, "404 page not found")
        project, stage, service = (unquote(part or "") for part in found.groups()[:3])
        uri = unquote_plus(found[4])
        if ".." in uri or "~" in uri:
            raise Refused(400, "invalid resource URI")
        content = self._read((project, stage, service, uri), commit)
        return {
            "resourceURI": found[4],
            "resourceContent": base64.b64encode(content.encode()).decode(),
            "metadata": {"upstreamURL": "", "version": commit or self.head(project)},
        }

    def _read(self, place: Place, commit: str) -> str:
        """404 names the first thing missing; a commit that git does not know is a 500."""
        project, stage = place[:2]
        levels = {"Project": (project,), "Stage": (project, stage), "Service": place[:3]}
        for level, key in levels.items():
            if all(key) and key not in self.known:
                raise Refused(404, f"{level} not found")
        commits = self.commits[project]
        if commit and commit not in commits:
            raise Refused(500, "could not check out commit: object not found")
        until = commits.index(commit) if commit else len(commits)
        versions = [text for number, text in self.texts[place] if number <= until]
        if not versions or versions[-1] is None:
            raise Refused(404, "Resource not found")
        return versions[-1]
