"""What a task's `files` bring: which level, which names, how much, and never outside the folder."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import Permanent, Temporary
from app.jobconfig.read import Task
from app.tasks import files
from app.tasks.files import checked, gathered
from tests.conftest import event
from tests.tasks.shelf import Shelf

Files = dict[tuple[str, str], bytes]
SERVICE: Files = {
    ("service", "helm/Chart.yaml"): b"chart",
    ("service", "helm/templates/a.yaml"): b"a",
    ("service", "helm-abc/no.yaml"): b"no",
    ("service", "helmDEFG"): b"no",
    ("service", "locust/basic.py"): b"basic",
}


async def brought(shelf: Files | Shelf, *entries: str, commit: str = "c1") -> dict[str, bytes]:
    """What the entries of a task named Do give."""
    source = shelf if isinstance(shelf, Shelf) else Shelf(shelf)
    task = Task.model_construct(name="Do", files=entries)
    return await gathered(task, event(), commit, source)


async def refused(shelf: Files, *entries: str, **more: Any) -> str:
    """Why the task gets nothing."""
    with pytest.raises(Permanent) as error:
        await brought(shelf, *entries, **more)
    return str(error.value)


async def test_a_file_is_brought_under_its_own_path() -> None:
    assert await brought(SERVICE, "locust/basic.py") == {"locust/basic.py": b"basic"}


@pytest.mark.parametrize("entry", ["helm", "/helm", "helm/", "/helm/", "./helm"])
async def test_a_folder_brings_all_below_it_and_nothing_of_its_namesakes(entry: str) -> None:
    assert await brought(SERVICE, entry) == {
        "helm/Chart.yaml": b"chart",
        "helm/templates/a.yaml": b"a",
    }


async def test_a_file_of_a_commit_is_read_without_a_list() -> None:
    shelf = Shelf({("service", "a"): b"file"})
    assert await brought(shelf, "a") == {"a": b"file"}
    assert shelf.asked == {("service", "a", "c1"): 1}


@pytest.mark.parametrize(("level", "commit"), [("service", ""), ("project", "c1")])
async def test_a_folder_is_never_read_as_a_file_where_keptn_has_no_404_for_it(
    level: str, commit: str
) -> None:
    shelf = Shelf({(level, "a/b"): b"inside"})
    assert await brought(shelf, "a", commit=commit) == {"a/b": b"inside"}
    assert (level, "a", commit) not in shelf.asked


async def test_each_entry_is_taken_from_the_first_level_that_has_it() -> None:
    shelf = {
        ("service", "a"): b"service",
        ("stage", "a"): b"stage",
        ("stage", "b/c"): b"stage",
        ("project", "b/d"): b"project",
        ("project", "e"): b"project",
    }
    assert await brought(shelf, "a", "b", "e") == {
        "a": b"service",
        "b/c": b"stage",
        "e": b"project",
    }


async def test_a_task_without_files_asks_for_nothing() -> None:
    shelf = Shelf(SERVICE)
    assert await brought(shelf) == {}
    assert not shelf.asked


async def test_of_two_entries_for_one_path_the_first_counts() -> None:
    shelf = {("service", "a/x"): b"x", ("stage", "a/y"): b"y"}
    assert await brought(shelf, "a/y", "a", "a/x") == {"a/x": b"x", "a/y": b"y"}


async def test_files_are_read_at_the_commit() -> None:
    shelf = Shelf(SERVICE)
    await brought(shelf, "helm", commit="c9")
    assert ("service", "helm/Chart.yaml", "c9") in shelf.asked


async def test_what_a_newer_list_names_but_the_commit_lacks_is_left_out() -> None:
    class Newer(Shelf):
        async def listed(self, event: Any, level: str) -> list[str]:
            return [*await super().listed(event, level), "helm/newer"]

    assert set(await brought(Newer(SERVICE), "helm")) == {
        "helm/Chart.yaml",
        "helm/templates/a.yaml",
    }


async def test_an_empty_file_is_a_file() -> None:
    assert await brought({("service", "a"): b""}, "a") == {"a": b""}


@pytest.mark.parametrize(
    ("commit", "looked"),
    [
        ("c1", "p/s/svc at commit c1, on stage level p/s at commit c1, on project level p"),
        ("", "p/s/svc, on stage level p/s, on project level p"),
    ],
)
async def test_what_is_nowhere_is_told_with_all_places(commit: str, looked: str) -> None:
    assert await refused(SERVICE, "locust", "none/x", commit=commit) == (
        f"could not find file or directory none/x for task Do: looked on service level {looked}"
    )


async def test_an_unreachable_source_is_no_missing_file() -> None:
    with pytest.raises(Temporary):
        await brought(Shelf(SERVICE, faults=[Temporary("away")]), "helm")


ODD = ["", "/", ".", "..", "../x", "a/../b", "a..b", "~", "~root", "a/~b", "a\\b", "C:\\x"]
ODD += ["a\0b", "a\nb", "\x1b[2J", "\u202egpj", "\ud800", "x" * 256, "a/" * 200 + "b"]


@pytest.mark.parametrize("name", ODD)
async def test_a_name_that_could_lead_elsewhere_is_refused_by_name(name: str) -> None:
    shelf = Shelf()
    with pytest.raises(Permanent) as error:
        await brought(shelf, name)
    assert repr(name[:200])[1:-1] in str(error.value)
    assert str(error.value).isprintable()
    assert not shelf.asked


@pytest.mark.parametrize("name", ["helm/../../x", "helm/~", "helm/a\0"])
async def test_a_listed_name_that_could_lead_elsewhere_is_refused_too(name: str) -> None:
    assert repr(name) in await refused({("service", name): b""}, "helm")


@pytest.mark.slow
@given(st.text())
def test_no_name_leads_out_of_its_folder(name: str) -> None:
    try:
        path = checked(name)
    except Permanent:
        return
    parts = path.split("/")
    assert parts
    assert not {"", ".", ".."} & set(parts)
    assert "\0" not in path
    assert path.encode()


async def test_a_path_cannot_be_a_file_and_a_folder() -> None:
    shelf = {("service", "a/b"): b"", ("stage", "a"): b""}
    shelf_of_both = {**shelf, ("service", "x"): b"", ("stage", "x/y/z"): b""}
    assert await brought(shelf, "a") == {"a/b": b""}
    assert await refused(shelf_of_both, "x", "x/y/z") == (
        "files: x would be a file and the folder of x/y/z"
    )


async def test_twenty_mebibytes_are_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    assert files.MAX_BYTES == 20 * 1024 * 1024
    monkeypatch.setattr(files, "MAX_BYTES", 100)
    shelf = {("service", f"d/{name}"): bytes(50) for name in "abc"}
    assert len(await brought(shelf, "d/a", "d/b", "d/a")) == 2
    assert await refused(shelf, "d") == (
        "files: 150 bytes in 3 files with d/c; at most 100 bytes in 2000 files"
    )


async def test_the_number_of_files_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_FILES", 2)
    shelf = Shelf({("service", f"d/{number}"): b"" for number in range(100)})
    with pytest.raises(Permanent, match=r"^files: 0 bytes in 3 files with d/2; at most "):
        await brought(shelf, "d")
    assert sum(shelf.asked.values()) == 5
