"""What the double says to those who make and delete projects, services and resources."""

import base64
import uuid
from typing import Any

import httpx
import pytest

from tests.strict.client import StrictKeptn

pytestmark = pytest.mark.slow

SHIPYARD = "spec: {stages: [{name: dev}, {name: prod}]}"
PROJECTS = "controlPlane/v1/project"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.fixture
def project(keptn: StrictKeptn) -> str:
    name = f"p{uuid.uuid4().hex[:8]}"
    made = post(keptn, PROJECTS, {"name": name, "shipyard": encoded(SHIPYARD)})
    assert made.status_code == 201
    return name


def post(keptn: StrictKeptn, path: str, body: Any) -> httpx.Response:
    headers = {"x-token": keptn.token}
    return keptn.http.post(f"/api/{path}", json=body, headers=headers)


def test_a_project_is_made_once(keptn: StrictKeptn, project: str) -> None:
    again = post(keptn, PROJECTS, {"name": project, "shipyard": encoded(SHIPYARD)})

    assert again.status_code == 409


@pytest.mark.parametrize(
    "body",
    [
        {"name": "Upper", "shipyard": encoded(SHIPYARD)},
        {"name": "p", "shipyard": SHIPYARD},
        {"name": "p", "shipyard": encoded("spec: {stages: []}")},
        {"name": "p"},
        ["p"],
    ],
    ids=["name", "not base64", "no stage", "no shipyard", "no object"],
)
def test_a_project_that_cannot_be_is_refused(keptn: StrictKeptn, body: Any) -> None:
    assert post(keptn, PROJECTS, body).status_code == 400


def test_a_service_is_in_all_stages_and_made_once(keptn: StrictKeptn, project: str) -> None:
    made = [
        post(keptn, f"{PROJECTS}/{project}/service", {"serviceName": "svc"}).status_code
        for _ in range(2)
    ]

    listed = keptn.http.get(f"/{PROJECTS}").json()["projects"]
    view = next(one for one in listed if one["projectName"] == project)
    assert made == [200, 409]
    assert [(one["stageName"], len(one["services"])) for one in view["stages"]] == [
        ("dev", 1),
        ("prod", 1),
    ]


@pytest.mark.parametrize(
    ("level", "uri", "status"),
    [
        ("stage/dev", "a/b", 201),
        ("stage/none", "a", 404),
        ("stage/dev/service/none", "a", 404),
        ("stage/dev", "../a", 400),
    ],
)
def test_resources_are_written_where_there_is_a_place(
    keptn: StrictKeptn, project: str, level: str, uri: str, status: int
) -> None:
    path = f"resource-service/v1/project/{project}/{level}/resource"
    file = {"resourceURI": uri, "resourceContent": encoded("x")}

    assert post(keptn, path, {"resources": [file]}).status_code == status


def test_an_end_rules_a_timeframe_out(keptn: StrictKeptn, project: str) -> None:
    path = f"{PROJECTS}/{project}/stage/dev/service/svc/evaluation"

    asked = post(keptn, path, {"end": "2026-01-31T11:59:59", "timeframe": "5m"})

    assert asked.status_code == 400
