"""The Dockerfile's rules, and what comes of its steps; no container engine has taken them here."""

import hashlib
import importlib.util
import io
import json
import re
import tarfile
from pathlib import Path
from subprocess import Popen

import pytest

from tests.deploy import dockerfile, manifests
from tests.deploy.manifests import ROOT


def steps(word: str, stage: int = -1) -> list[str]:
    return [rest for found, rest in dockerfile.stages()[stage] if found == word]


def told(process: "Popen[str]") -> str:
    """What a process prints, if it ends well."""
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    return output


def test_the_base_is_pinned_and_the_same_for_both_stages() -> None:
    (base,) = steps("ARG", 0)
    assert re.fullmatch(r"PYTHON=python:\d+\.\d+\.\d+-slim-\w+", base)
    froms = re.findall(r"(?m)^FROM (\S+)", dockerfile.FILE.read_text())
    assert froms == ["${PYTHON}"] * 2, "the environment links to the base's Python"


def test_the_image_runs_as_the_manifests_user_and_needs_no_shell() -> None:
    context = manifests.pod()["securityContext"]
    assert steps("USER") == [f"{context['runAsUser']}:{context['runAsGroup']}"]
    assert not steps("RUN"), "the last stage only copies"
    assert json.loads(steps("ENTRYPOINT")[0]) == ["firstmate"]
    assert json.loads(steps("CMD")[0]) == manifests.container()["args"]
    assert any(one.startswith("--from=build --chown=10001:10001 /data") for one in steps("COPY"))


def test_nothing_is_fetched_but_by_pip() -> None:
    for stage in dockerfile.stages():
        assert {word for word, _ in stage} <= {
            *("ARG", "COPY", "RUN", "WORKDIR", "ENV", "USER", "EXPOSE", "VOLUME"),
            *("ENTRYPOINT", "CMD"),
        }


def test_what_is_copied_is_there_and_let_through() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[0] == "*"
    sources = [name for one in steps("COPY", 1) for name in one.split()[:-1]]
    assert sources
    for name in sources:
        assert (ROOT / name).exists()
        assert f"!{name}" in ignored


@pytest.mark.slow
def test_the_image_has_the_command_and_all_that_it_imports(image: Path) -> None:
    box, env = dockerfile.box(image), dockerfile.running()
    assert "version" in told(box.start(["firstmate", "--version"], env, 10001))
    modules = "import app.main, app.cli, app.notifiers; print(app.main.__file__)"
    where = told(box.start(["python", "-c", modules], env, 10001))
    assert where.startswith("/opt/firstmate/"), "the wheel, and not the source"


@pytest.mark.slow
def test_nothing_of_the_image_can_be_written(image: Path) -> None:
    """Without this the tests of the start would prove little."""
    box = dockerfile.box(image)
    for place in ("/x", "/data/x", "/tmp/x", "/opt/firstmate/x", "/usr/x"):
        touch = box.start(["touch", place], dockerfile.running(), 10001)
        assert "Read-only file system" in touch.communicate(timeout=60)[0]
        assert touch.returncode == 1


@pytest.mark.slow
def test_templates_are_in_the_image(image: Path) -> None:
    installed = {one.name for one in image.rglob("site-packages/app/notifiers/templates/*.json")}
    assert installed == {one.name for one in (ROOT / "app/notifiers/templates").glob("*.json")}


@pytest.mark.slow
@pytest.mark.parametrize("user", [1000, 0])
def test_the_image_brings_files_to_a_jobs_pod(image: Path, tmp_path: Path, user: int) -> None:
    """As the init container of the engine `kubernetes`: any user, no variable but the image's."""
    module = "app.engines.kubernetes.unpack"
    if not (ROOT / f"{module.replace('.', '/')}.py").exists():
        pytest.skip(f"{module} comes with the engine `kubernetes`")
    assert importlib.util.find_spec(module)
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        entry = tarfile.TarInfo("scripts/test.sh")
        entry.size = 4
        tar.addfile(entry, io.BytesIO(b"true"))
    box, parts, target = dockerfile.box(image), tmp_path / "parts", tmp_path / "keptn"
    for place, mode, path in ((parts, "ro", "/firstmate/files"), (target, "rw", "/keptn")):
        place.mkdir()
        box.mount(mode, place, path)
    (parts / "000").write_bytes(content.getvalue())
    digest = hashlib.sha256(content.getvalue()).hexdigest()
    command = ["python", "-I", "-m", module, "/firstmate/files", "/keptn"]
    env = {name: text for name, text in dockerfile.running().items() if name != "PYTHONPATH"}
    told(box.start([*command, digest], env, user))
    assert (target / "scripts/test.sh").read_text() == "true"
    spoiled = box.start([*command, "0" * 64], env, user)
    assert "not those that were packed" in spoiled.communicate(timeout=60)[0]
    assert spoiled.returncode == 1
