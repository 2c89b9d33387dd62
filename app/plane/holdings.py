"""Keptn's paths for projects, their stages and services, and resources; rules are in `projects`."""

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote, unquote, unquote_plus

from fastapi import APIRouter, Depends, Query, Request
from pydantic import AfterValidator, BaseModel, Field

from app.plane.api import CONTROL, Posted, json_body, listed_by, parsed
from app.plane.projects import Projects
from app.plane.store import Document, Listing
from app.plane.validation import Refused

_ALL = CONTROL + "/project"
_PROJECT = _ALL + "/{project}"
_STAGE = _PROJECT + "/stage/{stage}"
_RESOURCES = "/api/resource-service/v1/project/{project}"
_LEVELS = ("", "/stage/{stage}", "/stage/{stage}/service/{service}")
Commit = Annotated[str, Query(alias="gitCommitID")]


def _decoded(text: bytes) -> bytes:
    """What base64 says; as in Go, it may be broken into lines."""
    return base64.b64decode(b"".join(text.split()), validate=True)


Base64 = Annotated[bytes, AfterValidator(_decoded)]
Names = Annotated[Listing, listed_by(size=20)]


class Project(BaseModel):
    """A project to be made; other keys, such as git credentials, have no use here."""

    name: str
    shipyard: Base64


class Service(BaseModel):
    """A service to be made in every stage."""

    name: str = Field(alias="serviceName")


class Content(BaseModel):
    """A resource's content, none for an empty one, and its name where the path has none."""

    uri: str = Field("", alias="resourceURI")
    content: Base64 = Field(b"", alias="resourceContent")


class Contents(BaseModel):
    """Several resources, written together."""

    resources: list[Content]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a resource is: in a project, one of its stages, or a service there."""

    project: str
    stage: str = ""
    service: str = ""


def _escaped(request: Request, uri: str) -> str:  # noqa: ARG001 - declared for the description
    """A resource's name from the raw path: servers decode %2F, which here is part of a name.

    As in Keptn, whose gateway, or router, has undone the first of two escapes.
    """
    path: bytes = request.scope["raw_path"]
    name = path.decode("latin-1").rpartition("/resource/")[2]
    once = unquote(name)
    return once if quote(once, safe="$&+,/:;=@") == name else name


At = Annotated[Place, Depends()]
Escaped = Annotated[str, Depends(_escaped)]


@dataclass(frozen=True, slots=True)
class Holdings:
    """The answers to Keptn's calls about what a project holds."""

    projects: Projects

    def add_to(self, router: APIRouter) -> None:
        """Give each its path."""
        router.get(_ALL)(self.all_projects)
        router.post(_ALL, status_code=201, openapi_extra=json_body(Project))(self.create_project)
        router.get(_PROJECT)(self.projects.view)
        router.delete(_PROJECT)(self.projects.delete)
        router.get(f"{_PROJECT}/stage")(self.stages)
        router.get(_STAGE)(self.stage)
        router.get(f"{_STAGE}/service")(self.services)
        router.get(f"{_STAGE}/service/{{service}}")(self.service)
        router.post(f"{_PROJECT}/service", openapi_extra=json_body(Service))(self.create_service)
        router.delete(f"{_PROJECT}/service/{{service}}")(self.delete_service)
        for level in _LEVELS:
            path, many = f"{_RESOURCES}{level}/resource", json_body(Contents)
            router.get(path)(self.listed)
            router.post(path, status_code=201, openapi_extra=many)(self.write_all)
            router.put(path, openapi_extra=many)(self.write_all)
            path += "/{uri:path}"
            router.get(path)(self.read)
            router.put(path, openapi_extra=json_body(Content))(self.write)
            router.delete(path)(self.remove)

    def all_projects(self, listing: Names) -> Document:
        """All projects, with their stages and services."""
        return _page("projects", map(self.projects.view, self.projects.names()), listing)

    def create_project(self, body: Posted) -> None:
        """Make a project from its shipyard."""
        given = parsed(body, Project)
        self.projects.create(given.name, given.shipyard)

    def stages(self, project: str, listing: Names) -> Document:
        """A project's stages with their services."""
        return _page("stages", self.projects.view(project)["stages"], listing)

    def stage(self, project: str, stage: str) -> Document:
        """One stage."""
        return _named("stage", self.projects.view(project)["stages"], stage)

    def services(self, project: str, stage: str, listing: Names) -> Document:
        """The services of a stage."""
        return _page("services", self.stage(project, stage)["services"], listing)

    def service(self, project: str, stage: str, service: str) -> Document:
        """One service."""
        return _named("service", self.stage(project, stage)["services"], service)

    def create_service(self, project: str, body: Posted) -> None:
        """Make a service in every stage."""
        self.projects.create_service(project, parsed(body, Service).name)

    def delete_service(self, project: str, service: str) -> None:
        """Delete a service with its files in every stage."""
        self.projects.get(project).remove_service(service)

    def read(self, at: At, uri: Escaped, commit: Commit = "") -> Document:
        """A resource's content in base64, and the version at which it was read."""
        project, name = self.projects.get(at.project), unquote_plus(uri)
        content, version = project.read(at.stage, at.service, name, commit)
        encoded = base64.b64encode(content).decode()
        return {"resourceURI": uri, "resourceContent": encoded} | _version(version)

    def listed(self, at: At, listing: Names, commit: Commit = "") -> Document:
        """The names of a level's resources: of now or, other than in Keptn, of a version."""
        names = self.projects.get(at.project).listed(at.stage, at.service, commit)
        return _page("resources", ({"resourceURI": f"/{name}"} for name in names), listing)

    def write_all(self, at: At, body: Posted) -> Document:
        """Make or overwrite resources."""
        given = parsed(body, Contents).resources
        return self._write(at, {each.uri: each.content for each in given})

    def write(self, at: At, uri: Escaped, body: Posted) -> Document:
        """Make or overwrite one resource."""
        return self._write(at, {unquote_plus(uri): parsed(body, Content).content})

    def remove(self, at: At, uri: Escaped) -> Document:
        """Delete one resource."""
        return self._write(at, {unquote_plus(uri): None})

    def _write(self, at: Place, files: dict[str, bytes | None]) -> Document:
        version = self.projects.get(at.project).write(at.stage, at.service, files)
        return {"commitID": version} | _version(version)


def _version(version: str) -> Document:
    return {"metadata": {"upstreamURL": "", "version": version}}


def _page(name: str, items: Iterable[Document], listing: Listing) -> Document:
    every = list(items)
    end = listing.offset + (listing.size or len(every))
    page, following = every[listing.offset : end], end if end < len(every) else 0
    return {name: page, "nextPageKey": str(following), "totalCount": len(every)}


def _named(kind: str, items: list[Document], name: str) -> Document:
    """The stage or service of this name; Refused (404) if there is none."""
    for one in items:
        if one[f"{kind}Name"] == name:
            return one
    raise Refused(404, f"{kind.capitalize()} not found")
