"""Secrets of a service alone: from a folder or a file, read anew, never shown, never elsewhere."""

import json
from pathlib import Path

import pytest

from app.errors import Permanent
from app.tasks.secrets import Secrets

NOT_FOUND = 'could not add env with name {0}, valueFrom secret: secrets "{0}" not found'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two secrets as Kubernetes mounts them: each key a link through a link."""
    for name, keys in {"db": {"USER": "me", "PASSWORD": "pw\n"}, "empty": {}}.items():
        hidden = tmp_path / "secrets" / name / "..2024_01_01"
        hidden.mkdir(parents=True)
        (hidden.parent / "..data").symlink_to(hidden.name)
        for key, value in keys.items():
            write(hidden / key, value)
            (hidden.parent / key).symlink_to(f"..data/{key}")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "key").write_text("outside")
    return tmp_path / "secrets"


def write(file: Path, text: str, mode: int = 0o600) -> Path:
    file.write_bytes(text.encode())
    file.chmod(mode)
    return file


def refused(secrets: Secrets, name: str) -> str:
    with pytest.raises(Permanent) as error:
        secrets.of(name)
    return str(error.value)


def test_a_folder_gives_each_key_of_a_secret_as_it_is(folder: Path) -> None:
    assert Secrets(folder).of("db") == {"PASSWORD": "pw\n", "USER": "me"}
    assert Secrets(folder).of("empty") == {}


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_a_file_gives_the_same(tmp_path: Path, form: str) -> None:
    content = {"db": {"USER": "me", "PIN": "0123", "NONE": None}, "empty": {}}
    yaml = "db:\n  USER: me\n  PIN: 0123\n  NONE: ~\nempty: {}\n"
    text = json.dumps(content) if form == "json" else yaml
    secrets = Secrets(write(tmp_path / "secrets", text))
    assert secrets.of("db") == {"USER": "me", "PIN": "0123", "NONE": ""}
    assert secrets.of("empty") == {}


def test_a_new_value_counts_at_once(folder: Path, tmp_path: Path) -> None:
    for secrets, file, text in (
        (Secrets(folder), folder / "db" / "..data" / "USER", "you"),
        (Secrets(tmp_path / "f"), write(tmp_path / "f", "db: {USER: me}"), "db: {USER: you}"),
    ):
        assert secrets.of("db")["USER"] == "me"
        write(file, text)
        assert secrets.of("db")["USER"] == "you"


@pytest.mark.parametrize(
    "name",
    ["none", "", ".", "..", "../outside", "db/..data", "/etc", "db/", "~", "..data", "a\0b", "é"],
)
def test_a_secret_that_is_not_there_is_told_in_job_executors_words(folder: Path, name: str) -> None:
    told = f"{NOT_FOUND.format(name)} in SECRETS_PATH {folder}"
    assert refused(Secrets(folder), name) == told
    assert Secrets(folder).of("db")
    file = write(folder / "file", "db: {A: b}")
    assert refused(Secrets(file), name) == f"{NOT_FOUND.format(name)} in SECRETS_PATH {file}"


def test_without_a_place_the_operator_is_told_which_setting_is_missing() -> None:
    assert refused(Secrets(None), "db") == (
        f"{NOT_FOUND.format('db')}: the operator has not set SECRETS_PATH"
    )


def test_a_place_that_is_not_there_has_no_secrets(tmp_path: Path) -> None:
    told = refused(Secrets(tmp_path / "none"), "db")
    assert told.endswith(f"No such file or directory: '{tmp_path / 'none'}'")


def test_our_own_environment_is_no_source(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("none", "hidden")
    refused(Secrets(folder), "none")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("db: {A: hidden", "line 2, column 1 is not valid YAML"),
        ("db:\n  A: *hidden\n", "line 2, column 6 is not valid YAML"),
        ("db:\n  A: 1\n  A: hidden\n", "line 3, column 3 is not valid YAML"),
        ("db:\n  A: [hidden]\n", "db is no mapping of keys to texts"),
        ("db: hidden\n", "db is no mapping of keys to texts"),
        ("db: {A: 'hidden\a'}", "line 1, column 16 is not valid YAML"),
    ],
)
def test_a_broken_file_is_told_by_its_line_and_shows_no_value(
    tmp_path: Path, text: str, place: str
) -> None:
    told = refused(Secrets(write(tmp_path / "secrets", text)), "db")
    assert told.endswith(f'secrets "db" cannot be read from SECRETS_PATH: {place}')
    assert "hidden" not in told


def test_bytes_that_are_no_text_are_refused(folder: Path) -> None:
    (folder / "db" / "..data" / "USER").write_bytes(b"hidden\xff")
    told = refused(Secrets(folder), "db")
    assert told.endswith(f'secrets "db" is no UTF-8 text in SECRETS_PATH {folder}')
