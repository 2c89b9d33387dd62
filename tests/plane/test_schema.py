"""Whatever its own description allows or forbids, the plane answers as described."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import CheckFunction, not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from app.plane.house import Plane
from tests.plane import keptn
from tests.plane.keptn import SHIPYARD, TOKEN, VirtualClock

pytestmark = pytest.mark.slow

HEADERS = {"x-token": TOKEN, "host": "localhost"}
BEYOND_THE_SCHEMA: list[CheckFunction] = [
    positive_data_acceptance,  # an event's rules per type, projects, paths: no schema says them
    negative_data_rejection,  # an unknown query parameter is ignored, as in Keptn
    not_a_server_error,  # Keptn answers an unknown commit with 500; documented, so checked as such
]


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> schemathesis.BaseSchema:
    folder: Path = tmp_path_factory.mktemp("schema") / "shop"
    folder.mkdir()
    (folder / "shipyard.yaml").write_text(SHIPYARD)
    plane = Plane(keptn.settings(folder), VirtualClock())
    return schemathesis.openapi.from_asgi("/openapi.json", plane.app, headers=HEADERS)


@pytest.mark.parametrize("mode", GenerationMode)
def test_the_plane_answers_as_described(
    described: schemathesis.BaseSchema, mode: GenerationMode
) -> None:
    for operation in described.get_all_operations():
        assert isinstance(operation, Ok)
        with suppress(Unsatisfiable):  # some routes can be given nothing that is wrong
            probe(operation.ok(), mode)


def probe(operation: APIOperation[Any, Any, Any, Any], mode: GenerationMode) -> None:
    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(operation.as_strategy(generation_mode=mode))
    def answers_as_described(case: Case[Any]) -> None:
        answer = case.call(headers=HEADERS)
        case.validate_response(answer, excluded_checks=BEYOND_THE_SCHEMA)
        if answer.status_code == 500:
            assert answer.json()["message"].startswith("Unknown commit")

    answers_as_described()
