"""A task of the kind `image` as work for an engine: all that the file says, and what it needs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.engines.contract import Origin, Work
from app.errors import Permanent
from app.jobconfig.read import read
from app.jobconfig.schema import Task
from app.tasks.image import work
from tests.captain import config
from tests.conftest import event
from tests.tasks.shelf import Shelf, supplies

PATH = {"name": "PATH_OF_FILE", "value": "/keptn/a", "valueFrom": "string"}
SECRET = {"name": "db", "valueFrom": "secret"}
MINE = {"name": "USER", "value": "mine", "valueFrom": "string"}


def task(**more: Any) -> Task:
    """The one task of a jobconfig."""
    return read(config("run", "it", **more)).actions[0].tasks[0]


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    file = tmp_path / "secrets.yaml"
    file.write_text("db: {USER: me, PASSWORD: pw}")
    file.chmod(0o600)
    return file


async def test_all_that_the_file_says_gets_into_the_work() -> None:
    asked = task(
        args=["a"],
        workingDir="/keptn",
        maxPollDuration=7,
        imagePullPolicy="Always",
        resources={"limits": {"cpu": 1}},
        securityContext={"runAsUser": 1000},
        env=[PATH],
        files=["a"],
        namespace="jobs",
        serviceAccount="deployer",
        ttlSecondsAfterFinished=90,
        annotations={"a/b": "c"},
    )
    found = await work(
        asked, event(), Origin(commit="c1"), supplies(Shelf({("service", "a"): b"\0binary"}))
    )
    assert found == Work(
        asked,
        env={
            "PATH_OF_FILE": "/keptn/a",
            "KEPTN_PROJECT": "p",
            "KEPTN_STAGE": "s",
            "KEPTN_SERVICE": "svc",
        },
        deadline=7.0,
        files={"a": b"\0binary"},
        origin=Origin(commit="c1"),
    )


async def test_every_key_of_a_secret_becomes_a_variable_where_its_entry_stands(
    secrets: Path,
) -> None:
    given = supplies(secrets=secrets)
    last = await work(task(env=[SECRET, MINE]), event(), Origin(), given)
    first = await work(task(env=[MINE, SECRET]), event(), Origin(), given)
    assert (last.env["USER"], first.env["USER"]) == ("mine", "me")
    assert last.env["PASSWORD"] == "pw"


async def test_an_engine_that_has_secrets_gets_no_value_of_them() -> None:
    given = replace(supplies(), secrets=None)
    found = await work(task(env=[SECRET, MINE]), event(), Origin(), given)
    assert found.env["USER"] == "mine"
    assert "PASSWORD" not in found.env


@pytest.mark.parametrize(
    ("more", "cause"),
    [
        ({"files": ["none"]}, "could not find file or directory none for task Do: looked on"),
        (
            {"env": [{"name": "none", "valueFrom": "secret"}]},
            'could not add env with name none, valueFrom secret: secrets "none" not found',
        ),
    ],
)
async def test_what_is_missing_is_named(secrets: Path, more: Any, cause: str) -> None:
    with pytest.raises(Permanent) as error:
        await work(task(**more), event(), Origin(), supplies(secrets=secrets))
    assert str(error.value).startswith(cause)
