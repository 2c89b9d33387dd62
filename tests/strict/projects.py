"""Projects, services and resources that are made and deleted over the API (§3.2, §3.3).

What of them is read is in `lookups` and `resources`; both share the set of known places.
"""

import base64
import re
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse
from typing_extensions import TypedDict

from tests.strict import lookups, validation
from tests.strict.controlplane import Keptn
from tests.strict.faults import Answer
from tests.strict.validation import Refused

Handler = Callable[[Keptn, Request, bytes], Answer]
Row = tuple[str, str, str, Handler]
SHIPYARD = "shipyard.yaml"
BORN = "1590654350000000000"
_PROJECT = "/controlPlane/v1/project"
_NAME = re.compile("[a-z]([a-z0-9-]*[a-z0-9])?")


class Project(TypedDict, total=False):
    """The body that makes a project; Keptn ignores other keys, such as those of old versions."""

    name: str
    shipyard: str
    gitCredentials: dict[str, Any]


class Service(TypedDict):
    """The body that makes a service."""

    serviceName: str


class File(TypedDict):
    """One resource to be written."""

    resourceURI: str
    resourceContent: str


class Files(TypedDict):
    """The body that writes resources."""

    resources: list[File]


class Evaluation(TypedDict, total=False):
    """The body that asks for an evaluation; Keptn takes no other keys."""

    labels: dict[str, str] | None
    start: str
    end: str
    timeframe: str
    gitcommitid: str


def views(keptn: Keptn, request: Request) -> dict[str, Any]:
    """GET /project: all of them, in pages of 20 unless told otherwise."""
    found = lookups.projects(keptn.resources.known, keptn.controller)["projects"]
    size = lookups.number(request.query_params, "pageSize", 20)
    page, following = lookups.paged(found, request.query_params, size)
    shown = [one | _view(keptn, one["projectName"]) for one in page]
    return {"projects": shown, "nextPageKey": str(following), "totalCount": len(found)}


def _view(keptn: Keptn, project: str) -> dict[str, Any]:
    known = [place for place in keptn.resources.known if place[0] == project]
    stages = list(dict.fromkeys(keptn.stages.get(project, ())))
    stages += sorted({place[1] for place in known if len(place) > 1 and place[1]} - {*stages})
    services = {
        stage: sorted(place[2] for place in known if place[1:2] == (stage,) and place[2:] > ("",))
        for stage in stages
    }
    git = {"gitCredentials": keptn.upstreams[project]} if project in keptn.upstreams else {}
    return git | {
        "creationDate": BORN,
        "shipyardVersion": "spec.keptn.sh/0.2.4",
        "stages": [
            {
                "stageName": stage,
                "services": [{"serviceName": one, "creationDate": BORN} for one in names],
            }
            for stage, names in services.items()
        ],
    }


def create(keptn: Keptn, request: Request, body: bytes) -> Answer:
    """POST /project."""
    given = _body(Project, body)
    project, encoded = given.get("name", ""), given.get("shipyard", "")
    if not _NAME.fullmatch(project):
        raise Refused(400, "provided project name is not a valid Keptn entity name")
    if (project,) in keptn.resources.known:
        raise Refused(409, "project already exists")
    stages = _stages(encoded)
    keptn.resources.put({"project": project, "uri": SHIPYARD, "content": encoded})
    keptn.resources.put({"project": project, "uri": "metadata.yaml", "content": ""})
    for stage in stages:
        keptn.resources.know(project, stage, "")
    keptn.stages[project] = stages
    if "gitCredentials" in given:
        git = given["gitCredentials"]
        keptn.upstreams[project] = {"remoteURL": git["remoteURL"], "user": git["user"]}
    return Answer(JSONResponse({}, 201))


def _stages(encoded: str) -> list[str]:
    """§6.1: at creation at least one stage."""
    try:
        shipyard = yaml.safe_load(base64.b64decode(encoded, validate=True))
        stages = [one["name"] for one in shipyard["spec"]["stages"]]
    except (ValueError, TypeError, KeyError, yaml.YAMLError):
        stages = []
    if not stages:
        raise Refused(400, "could not parse shipyard")
    return stages


def delete(keptn: Keptn, request: Request, body: bytes) -> Answer:
    """DELETE /project/{p}."""
    project = _required(keptn, request)
    keptn.resources.forget(lambda place: place[0] == project)
    return Answer(JSONResponse({"message": "a note on what stays"}))


def create_service(keptn: Keptn, request: Request, body: bytes) -> Answer:
    """POST /project/{p}/service: in all stages, or refused."""
    project, service = _required(keptn, request), _body(Service, body)["serviceName"]
    for stage in keptn.stages[project]:
        if (project, stage, service) in keptn.resources.known:
            raise Refused(409, "service already exists")
        keptn.resources.know(project, stage, service)
    return Answer(JSONResponse({}))


def delete_service(keptn: Keptn, request: Request, body: bytes) -> Answer:
    """DELETE /project/{p}/service/{svc}."""
    project, service = _required(keptn, request), request.path_params["service"]
    keptn.resources.forget(lambda place: (place[0], place[2:3]) == (project, (service,)))
    return Answer(JSONResponse({"message": ""}))


def write(keptn: Keptn, request: Request, body: bytes) -> Answer:
    """POST of resources, in one commit."""
    levels = keptn.resources.level(str(request.scope["raw_path"].decode()))
    commit = uuid.uuid4().hex
    for one in _body(Files, body)["resources"]:
        if ".." in one["resourceURI"] or "~" in one["resourceURI"]:
            raise Refused(400, "invalid resource URI")
        place = {**levels, "uri": one["resourceURI"].lstrip("/")}
        keptn.resources.put({**place, "content": one["resourceContent"], "commit": commit})
    metadata = {"upstreamURL": "", "version": commit}
    return Answer(JSONResponse({"commitID": commit, "metadata": metadata}, 201))


def evaluate(keptn: Keptn, request: Request, body: bytes) -> Answer:
    """POST …/evaluation: sends `<stage>.evaluation.triggered`; an end rules a timeframe out."""
    _required(keptn, request)
    given = _body(Evaluation, body)
    if given.get("end") and given.get("timeframe"):
        raise Refused(400, "'end' and 'timeframe' are mutually exclusive")
    scope = dict(request.path_params)
    period = {key: given.get(key, "") for key in ("start", "end", "timeframe")}
    event = {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": "shipyard-controller",
        "type": f"sh.keptn.event.{scope['stage']}.evaluation.triggered",
        "time": validation.now(),
        "shkeptncontext": str(uuid.uuid4()),
        "data": {**scope, "labels": given.get("labels"), "evaluation": period},
    }
    answer = JSONResponse({"keptnContext": event["shkeptncontext"]})
    return Answer(answer, partial(keptn.publish, event))


def _required(keptn: Keptn, request: Request) -> str:
    project = str(request.path_params["project"])
    if (project,) not in keptn.resources.known:
        raise Refused(404, f"project {project} does not exist")
    return project


def _body(form: type[Any], body: bytes) -> Any:
    """The body, if it is JSON of this form."""
    try:
        return TypeAdapter(form).validate_json(body)
    except ValidationError as error:
        raise Refused(400, f"Invalid request format: {error.errors()[0]['msg']}") from None


ROWS: list[Row] = [
    ("project", "POST", _PROJECT, create),
    ("project", "DELETE", _PROJECT + "/{project}", delete),
    ("project", "POST", _PROJECT + "/{project}/service", create_service),
    ("project", "DELETE", _PROJECT + "/{project}/service/{service}", delete_service),
    *(
        ("resource", "POST", f"/{home}/v1/project/{{project}}/{{rest:path}}", write)
        for home in ("resource-service", "configuration-service")
    ),
    (
        "project",
        "POST",
        _PROJECT + "/{project}/stage/{stage}/service/{service}/evaluation",
        evaluate,
    ),
]
