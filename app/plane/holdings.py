"""Keptn's paths for projects, their stages and services, and resources; rules are in `projects`."""

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Annotated
from urllib.parse import unquote_plus

from fastapi import APIRouter, Query, Request
from pydantic import AfterValidator, BaseModel, Field

from app.plane.api import CONTROL, Files, Posted, json_body, listed_by, parsed
from app.plane.projects import Projects
from app.plane.resources import SHIPYARD, Resources
from app.plane.store import Document, Listing, Page
from app.plane.validation import Refused

_ALL = CONTROL + "/project"
_PROJECT = _ALL + "/{project}"
_STAGE = _PROJECT + "/stage/{stage}"
_RESOURCES = "/api/resource-service/v1/project/{project}"
_LEVELS = ("", "/stage/{stage}", "/stage/{stage}/service/{service}")
Commit = Annotated[str, Query(alias="gitCommitID")]
Base64 = Annotated[bytes, AfterValidator(partial(base64.b64decode, validate=True))]
Names = Annotated[Listing, listed_by(size=20)]


class Project(BaseModel):
    """A project to be made or changed; other keys, such as git credentials, have no use here."""

    name: str
    shipyard: Base64


class Service(BaseModel):
    """A service to be made in every stage."""

    name: str = Field(alias="serviceName")


class Content(BaseModel):
    """A resource's content, and its name where the path has none."""

    uri: str = Field("", alias="resourceURI")
    content: Base64 = Field(alias="resourceContent")


class Contents(BaseModel):
    """Several resources, written together."""

    resources: list[Content]


@dataclass(frozen=True, slots=True)
class Holdings:
    """The answers to Keptn's calls about what a project holds."""

    projects: Projects

    def add_to(self, router: APIRouter) -> None:
        """Give each its path."""
        router.get(_ALL)(self.all_projects)
        router.post(_ALL, status_code=201, openapi_extra=json_body(Project))(self.create_project)
        router.put(_ALL, status_code=201, openapi_extra=json_body(Project))(self.update_project)
        router.get(_PROJECT)(self.projects.view)
        router.delete(_PROJECT)(self.projects.delete)
        router.get(f"{_PROJECT}/stage")(self.stages)
        router.get(_STAGE)(self.projects.stage)
        router.get(f"{_STAGE}/service")(self.services)
        router.get(f"{_STAGE}/service/{{service}}")(self.service)
        router.post(f"{_PROJECT}/service", openapi_extra=json_body(Service))(self.create_service)
        router.delete(f"{_PROJECT}/service/{{service}}")(self.delete_service)
        for level in _LEVELS:
            path = f"{_RESOURCES}{level}/resource"
            many, one = _takes(path, Contents), _takes(path + "/{uri}", Content)
            router.get(path, openapi_extra=_takes(path))(self.listed)
            router.post(path, status_code=201, openapi_extra=many)(self.write_all)
            router.put(path, openapi_extra=many)(self.write_all)
            path += "/{uri:path}"
            router.get(path, openapi_extra=_takes(path))(self.read)
            router.put(path, openapi_extra=one)(self.write)
            router.delete(path, openapi_extra=_takes(path))(self.remove)

    def all_projects(self, listing: Names) -> Document:
        """All projects, with their stages and services."""
        return _page("projects", map(self.projects.view, self.projects.names()), listing)

    def create_project(self, body: Files) -> Document:
        """Make a project from its shipyard."""
        given = parsed(body, Project)
        self.projects.create(given.name, given.shipyard)
        return {}

    def update_project(self, body: Files) -> Document:
        """Give a project another shipyard, and so perhaps other stages."""
        given = parsed(body, Project)
        self.projects.get(given.name).write("", "", {SHIPYARD: given.shipyard})
        return {}

    def stages(self, project: str, listing: Names) -> Document:
        """A project's stages with their services."""
        return _page("stages", self.projects.view(project)["stages"], listing)

    def services(self, project: str, stage: str, listing: Names) -> Document:
        """The services of a stage."""
        return _page("services", self.projects.services(project, stage), listing)

    def service(self, project: str, stage: str, service: str) -> Document:
        """One service."""
        for one in self.projects.services(project, stage):
            if one["serviceName"] == service:
                return one
        raise Refused(404, "Service not found")

    def create_service(self, project: str, body: Posted) -> Document:
        """Make a service in every stage."""
        self.projects.create_service(project, parsed(body, Service).name)
        return {}

    def delete_service(self, project: str, service: str) -> Document:
        """Delete a service with its files in every stage."""
        self.projects.get(project).remove_service(service)
        return {}

    def read(self, request: Request, commit: Commit = "") -> Document:
        """A resource's content in base64, and the version at which it was read."""
        project, level = self._level(request)
        content, version = project.read(*level, _uri(request), commit)
        encoded = base64.b64encode(content).decode()
        named = {"resourceURI": _escaped(request), "resourceContent": encoded}
        return named | _version(version)

    def listed(self, request: Request, listing: Names) -> Document:
        """The names of a level's resources as they are now, whatever version is asked for."""
        project, level = self._level(request)
        names = project.listed(*level)
        return _page("resources", ({"resourceURI": name} for name in names), listing)

    def write_all(self, request: Request, body: Files) -> Document:
        """Make or overwrite resources."""
        given = parsed(body, Contents).resources
        return self._write(request, {each.uri: each.content for each in given})

    def write(self, request: Request, body: Files) -> Document:
        """Make or overwrite one resource."""
        return self._write(request, {_uri(request): parsed(body, Content).content})

    def remove(self, request: Request) -> Document:
        """Delete one resource."""
        return self._write(request, {_uri(request): None})

    def _write(self, request: Request, files: dict[str, bytes | None]) -> Document:
        project, level = self._level(request)
        version = project.write(*level, files)
        return {"commitID": version} | _version(version)

    def _level(self, request: Request) -> tuple[Resources, tuple[str, str]]:
        """The project of a path, with its stage and service, empty where it has none."""
        place = request.path_params
        level = place.get("stage", ""), place.get("service", "")
        return self.projects.get(place["project"]), level


def _escaped(request: Request) -> str:
    """A resource's name from the raw path: servers decode %2F, which here is part of a name."""
    path: bytes = request.scope["raw_path"]
    return path.decode("latin-1").rpartition("/resource/")[2]


def _uri(request: Request) -> str:
    return unquote_plus(_escaped(request))


def _version(version: str) -> Document:
    return {"metadata": {"upstreamURL": "", "version": version}}


def _page(name: str, items: Iterable[Document], listing: Listing) -> Document:
    page = Page.of(list(items), listing)
    return {name: page.items, "nextPageKey": str(page.following), "totalCount": page.total}


def _takes(path: str, model: type[BaseModel] | None = None) -> Document:
    """The description of a path's parameters, and of a body, that the route reads itself."""
    of_text = {"in": "path", "required": True, "schema": {"type": "string"}}
    places = {"parameters": [{"name": name, **of_text} for name in re.findall(r"{(\w+)", path)]}
    return places | (json_body(model) if model else {})
