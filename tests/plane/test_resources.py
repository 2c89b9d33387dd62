"""The folder as Keptn's resources: three levels, versions, and what is kept out."""

import base64
from pathlib import Path
from typing import Any

import pytest

from app.plane import resources
from tests.plane.keptn import Client

pytestmark = pytest.mark.slow

PROJECT = "/api/resource-service/v1/project/bookshop"
DEV = f"{PROJECT}/stage/dev"
BASKET = f"{DEV}/service/basket"


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


async def read(keptn: Client, path: str, **query: Any) -> tuple[str, str]:
    found = await keptn.get(path, **query)
    return base64.b64decode(found["resourceContent"]).decode(), found["metadata"]["version"]


async def refused(keptn: Client, path: str, **query: Any) -> tuple[int, str]:
    answer = await keptn.http.get(path, params=query)
    return answer.status_code, answer.json()["message"]


async def test_each_level_has_its_own_files(keptn: Client, folder: Path) -> None:
    write(folder, "jobconfig.yaml", "project")
    write(folder, "stages/dev/jobconfig.yaml", "stage")
    write(folder, "stages/dev/services/basket/job/config.yaml", "service")
    await keptn.trigger()
    for level, text in ((PROJECT, "project"), (DEV, "stage"), (BASKET, "service")):
        assert (await read(keptn, f"{level}/resource/job%2Fconfig.yaml"))[0] == text


async def test_a_real_config_goes_before_the_short_name(keptn: Client, folder: Path) -> None:
    write(folder, "jobconfig.yaml", "short")
    write(folder, "job/config.yaml", "real")
    assert (await read(keptn, f"{PROJECT}/resource/job%2Fconfig.yaml"))[0] == "real"
    assert (await read(keptn, f"{PROJECT}/resource/jobconfig.yaml"))[0] == "short"


async def test_names_are_query_escaped_in_the_path(keptn: Client, folder: Path) -> None:
    write(folder, "my files/a+b%.txt", "odd")
    found = await keptn.get(f"{PROJECT}/resource/my+files%2Fa%2Bb%25.txt")
    assert found["resourceURI"] == "my+files%2Fa%2Bb%25.txt"


@pytest.mark.parametrize(
    ("path", "code", "message"),
    [
        (f"{PROJECT}/resource/none", 404, "Resource not found"),
        (f"{DEV}/resource/none", 404, "Resource not found"),
        (f"{PROJECT}/stage/none/resource/x", 404, "Stage not found"),
        (f"{BASKET}/resource/x", 404, "Service not found"),
        ("/api/resource-service/v1/project/other/resource/x", 404, "Project not found"),
        (f"{PROJECT}/resource/..%2F..%2Fetc%2Fpasswd", 400, "Invalid resource URI"),
        (f"{PROJECT}/resource/~root", 400, "Invalid resource URI"),
        (f"{PROJECT}/resource/%00", 404, "Resource not found"),
        (f"{PROJECT}/resource/{'x' * 5000}", 404, "Resource not found"),
        (f"{PROJECT}/resource/%2Fetc%2Fpasswd", 404, "Resource not found"),
    ],
)
async def test_what_is_missing_is_named_in_keptns_words(
    keptn: Client, path: str, code: int, message: str
) -> None:
    assert await refused(keptn, path) == (code, message)


async def test_an_unknown_version_is_an_error_of_the_server(keptn: Client) -> None:
    code, message = await refused(keptn, f"{DEV}/resource/x", gitCommitID="0" * 40)
    assert code == 500
    assert "0" * 40 in message


async def test_a_triggered_run_keeps_the_content_of_its_stage(keptn: Client, folder: Path) -> None:
    write(folder, "stages/dev/notes", "old")
    write(folder, "stages/dev/services/basket/notes", "old")
    await keptn.trigger()
    (task,) = await keptn.open("deployment")
    commit = task["gitcommitid"]
    write(folder, "stages/dev/notes", "new")
    write(folder, "stages/dev/services/basket/notes", "new")
    for level in (DEV, BASKET, PROJECT):
        at_commit = await read(keptn, f"{level}/resource/notes", gitCommitID=commit)
        assert at_commit == ("old", commit)
    text, version = await read(keptn, f"{DEV}/resource/notes")
    assert text == "new"
    assert version != commit
    assert (await read(keptn, f"{DEV}/resource/notes", gitCommitID=version))[0] == "new"


async def test_the_version_of_the_same_content_is_the_same(keptn: Client, folder: Path) -> None:
    write(folder, "stages/dev/notes", "text")
    await keptn.trigger()
    await keptn.trigger(service="cart")
    one, two = await keptn.open("deployment")
    assert one["gitcommitid"] == two["gitcommitid"]


async def test_a_version_that_came_with_the_trigger_is_kept(keptn: Client) -> None:
    kind = "sh.keptn.event.dev.delivery.triggered"
    data = {"project": "bookshop", "stage": "dev", "service": "basket"}
    await keptn.post({"type": kind, "source": "me", "gitcommitid": "abc", "data": data})
    (task,) = await keptn.open("deployment")
    assert task["gitcommitid"] == "abc"


async def test_nothing_hidden_private_or_outside_is_served(keptn: Client, folder: Path) -> None:
    write(folder, ".env", "secret")
    write(folder, ".git/config", "secret")
    write(folder, "stages/dev/.env", "secret")
    write(folder, "stages/dev/notes", "seen")
    (folder / "outside").symlink_to("/etc/passwd")
    (folder / "data").symlink_to(folder.parent / "data")
    for name in (".env", ".git%2Fconfig", "outside", "data%2Fplane.db", "stages%2Fdev%2Fnotes"):
        assert (await refused(keptn, f"{PROJECT}/resource/{name}"))[0] == 404
    assert (await refused(keptn, f"{DEV}/resource/.env"))[0] == 404


async def test_a_file_too_large_is_no_resource(
    keptn: Client, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "MAX_BYTES", 3)
    write(folder, "large", "1234")
    write(folder, "small", "123")
    assert (await refused(keptn, f"{PROJECT}/resource/large"))[0] == 404
    assert (await read(keptn, f"{PROJECT}/resource/small"))[0] == "123"


async def test_a_stage_with_too_many_files_is_told_in_the_end_of_its_sequence(
    keptn: Client, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "MAX_FILES", 2)
    for number in range(3):
        write(folder, f"stages/dev/{number}", "")
    context = await keptn.trigger()
    assert "holds more than 2 files" in (await keptn.ended(context))["message"]


async def listed(keptn: Client, path: str, **query: Any) -> list[str]:
    found = await keptn.get(f"{path}/resource", **query)
    assert found["nextPageKey"] == "0"
    assert all(one["resourceURI"].startswith("/") for one in found["resources"])
    return [one["resourceURI"][1:] for one in found["resources"]]


async def test_a_list_names_the_files_of_its_level_alone(keptn: Client, folder: Path) -> None:
    for name in ("notes", "helm/a", "stages/dev/b", "stages/dev/services/basket/helm/c", ".env"):
        write(folder, name, name)
    (folder / "outside").symlink_to("/etc/passwd")
    await keptn.trigger()
    assert await listed(keptn, PROJECT) == ["helm/a", "notes", "shipyard.yaml"]
    assert await listed(keptn, DEV) == ["b", "services/basket/helm/c"]
    assert await listed(keptn, BASKET, gitCommitID="f" * 40) == ["helm/c"]
    assert await refused(keptn, f"{DEV}/service/none/resource") == (404, "Service not found")


async def test_a_list_comes_in_pages_of_twenty(keptn: Client, folder: Path) -> None:
    names = [f"file{number:02}" for number in range(45)]
    for name in names:
        write(folder, f"stages/dev/{name}", "")
    asked, found = "0", list[str]()
    for following in ("20", "40", "0"):
        page = await keptn.get(f"{DEV}/resource", nextPageKey=asked)
        found += [one["resourceURI"].removeprefix("/") for one in page["resources"]]
        assert (page["nextPageKey"], page["totalCount"]) == (following, 45)
        asked = following
    assert found == names
    assert await listed(keptn, DEV, pageSize=45) == names


async def test_bytes_come_back_as_they_are(keptn: Client, folder: Path) -> None:
    content = bytes(range(256)) * 40
    (folder / "binary").write_bytes(content)
    found = await keptn.get(f"{PROJECT}/resource/binary")
    assert base64.b64decode(found["resourceContent"]) == content
