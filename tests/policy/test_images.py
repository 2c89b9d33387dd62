"""Which images a list of patterns allows: as job-executor does, and where it is otherwise, why."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import Permanent
from app.jobconfig.schema import Task
from app.policy.globs import compiled, image_names, matches_any
from app.policy.in_force import forbidden
from app.policy.rules import Terms

VECTORS = json.loads((Path(__file__).parent / "image_allowlist.json").read_text())
TRIMMED = "blanks around a pattern are none of it, and a list of blanks is no list"
NAMES = "an image is allowed by its short name, its full name, and with the tag that is understood"
SOUND = "every pattern is proven when the service starts, also behind `*`"
DIFFERENCES = {
    "one/' ' 'alpine'": TRIMMED,
    "one/'alpine' 'docker.io/alpine'": NAMES,
    "one/'alpine:*' 'alpine'": NAMES,
    "one/'docker.io/*' 'docker.io'": NAMES,
    "one/'docker.io/*' 'alpine'": NAMES,
    "one/'*:latest' 'a'": NAMES,
    "one/'alpine:3\\n' 'alpine:3\\n'": TRIMMED,
    "list/'docker.io/*, ghcr.io/*' 'ghcr.io/x'": TRIMMED,
    "list/'docker.io/*, *' 'anything'": TRIMMED,
    "list/'*,[' 'anything'": SOUND,
    "list/'alpine ,busybox' 'alpine '": TRIMMED,
    "list/' ,' 'x'": TRIMMED,
}
"""The rows to which Firstmate answers otherwise, by its reason; a row that does not is red."""


def is_allowed(patterns: str, image: str) -> bool | None:
    """Whether a task may have the image; None when the list itself is refused."""
    terms = Terms(images=patterns)
    try:
        rules = terms.rules()
    except Permanent:
        return None
    return not list(forbidden(Task.model_validate({"image": image}), rules, terms))


@pytest.mark.parametrize("row", [pytest.param(row, id=row["name"]) for row in VECTORS["rows"]])
def test_a_list_allows_what_job_executor_allows(row: dict[str, Any]) -> None:
    same = is_allowed(row["in"]["list"], row["in"]["image"]) is row.get("out")
    assert same is (row["name"] not in DIFFERENCES)


def test_every_difference_is_one_of_a_row() -> None:
    assert DIFFERENCES.keys() <= {row["name"] for row in VECTORS["rows"]}


@pytest.mark.parametrize(
    ("image", "names"),
    [
        ("alpine", "alpine:latest docker.io/library/alpine docker.io/library/alpine:latest"),
        ("alpine:3", "docker.io/library/alpine:3"),
        ("docker.io/library/alpine:3", "alpine:3"),
        ("index.docker.io/a/b:1", "a/b:1 docker.io/a/b:1"),
        ("a/b@sha256:00", "docker.io/a/b@sha256:00"),
        ("ghcr.io/a/b", "ghcr.io/a/b:latest"),
        ("ghcr.io/a/b:1@sha256:00", ""),
        ("localhost/a:1", ""),
        ("registry:5000/a:1", ""),
        ("[::1]:5000/a:1", ""),
    ],
)
def test_an_image_is_looked_for_by_all_its_names(image: str, names: str) -> None:
    assert {*image_names(image)} == {image, *names.split()}


@pytest.mark.parametrize(
    ("image", "pattern"),
    [
        ("docker.io/trusted.example/x:1", "trusted.example/*"),
        ("docker.io/localhost/x:1", "localhost/*"),
        ("docker.io/library/trusted/x:1", "trusted/*"),
        ("evil.example/library/alpine:3", "alpine:*"),
        ("alpine.evil/x:1", "alpine:*"),
        ("Docker.io/library/alpine:3", "alpine:*"),
    ],
)
def test_no_image_goes_by_the_name_of_another(image: str, pattern: str) -> None:
    assert not is_allowed(pattern, image)


def test_a_pattern_that_is_none_is_refused_with_its_variable_and_the_remedy() -> None:
    with pytest.raises(Permanent, match=r"^ALLOWED_IMAGE_LIST: `\[` begins no range: write \[abc]"):
        Terms(images="alpine, [").rules()


@pytest.mark.parametrize("pattern", ["[b-a]", "[", "x[]", "[a", "[a-]", "[!]"])
def test_a_bracket_that_begins_no_range_is_no_pattern(pattern: str) -> None:
    with pytest.raises(ValueError, match="begins no range"):
        compiled(pattern)


@pytest.mark.parametrize("name", ["a", "b"])
def test_a_choice_can_be_written_in_a_file_where_commas_are_free(name: str) -> None:
    assert matches_any(f"x{name}y", ["x{a,b}y"])
    assert not matches_any("xcy", ["x{a,b}y"])


@pytest.mark.slow
@given(st.text(alphabet="ab*?\\]{}!-,ä\n", max_size=12))
def test_whatever_has_no_bracket_is_a_pattern(text: str) -> None:
    assert compiled(text)


@pytest.mark.slow
@given(st.text(alphabet="ab*?[]{}\\ä", max_size=12))
def test_a_text_whose_signs_are_all_escaped_fits_itself_only(text: str) -> None:
    pattern = "".join(f"\\{char}" for char in text)
    assert matches_any(text, [pattern])
    assert not matches_any(f"{text}a", [pattern])


@pytest.mark.parametrize("part", ["a.", "a:", "a/", "[a]", "a-", "a@", ".:"])
def test_a_long_odd_image_has_names_too(part: str) -> None:
    image = part * 20_000  # a pattern that went back over it would take hours
    assert image in image_names(image)


def test_a_pattern_can_ask_for_a_digest() -> None:
    digest = f"@sha256:{'0' * 64}"
    patterns = ["docker.io/library/*@sha256:*"]

    def fits(image: str) -> bool:
        return any(matches_any(name, patterns) for name in image_names(image))

    assert fits(f"alpine{digest}")
    assert fits(f"alpine:3{digest}")
    assert not fits("alpine")
    assert not fits(f"evil.example/alpine{digest}")
