"""`firstmate logs`: what tasks printed, as it comes, each byte once; what was missed is told."""

import re
from pathlib import Path

import pytest

from app.cli import reading
from app.core import Core
from app.engines.contract import Output
from app.engines.spool import HEAD_BYTES, TAIL_BYTES, OutputFile, read_output
from app.events.build import Outcome
from app.ledger import rows
from app.masking import MASK
from app.naming import Place
from tests.cli.conftest import Terminal
from tests.conftest import event

PASS = Outcome("succeeded", "pass", "fine")


class Job:
    """A job whose output stands where the engines leave it."""

    def __init__(self, data: Path, key: str) -> None:
        folder = data / "jobs" / key
        folder.mkdir(parents=True)
        self._path = str(folder / "output")
        self._file = OutputFile(self._path)
        self.key = key

    def prints(self, text: str | bytes) -> None:
        self._file.append(text if isinstance(text, bytes) else text.encode())

    def kept(self) -> Output:
        return Output(*read_output(self._path))

    def close(self) -> None:
        self._file.close()


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the ledger that `core` has made; nobody waits between two looks."""
    (tmp_path / "masks").write_text("tok-[0-9]+\n")
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("MASK_PATTERNS_FILE", str(tmp_path / "masks"))
    monkeypatch.setattr(reading, "FOLLOW_SECONDS", 0)
    return tmp_path


async def test_following_prints_each_line_once_as_it_comes_until_the_run_ends(
    core: Core, data: Path
) -> None:
    life, first, second = core.lifecycle, Job(data, "first"), Job(data, "second")
    _, run_id = await life.accept(event(id="watched"))
    assert run_id
    run = rows.run(core.ledger.reader, run_id)
    await life.plan(run, "{}", answered=True)
    row = await life.launch(run, Place(0, 0), first.key, "Do")
    told = reading.logs("watched", follow=True)
    first.prints("one\ntw")
    assert [next(told), next(told)] == ["=== Do ===", "one"]
    first.prints("o tok-123\nlast tok-4")
    assert next(told) == f"two {MASK}"
    await life.end_task(row, PASS)
    assert next(told) == f"last {MASK}"
    row = await life.launch(run, Place(0, 0, 1), second.key, "Do")
    assert next(told) == "=== Do (attempt 2) ==="
    second.prints("again\n")
    assert next(told) == "again"
    await life.end_task(row, PASS)
    await life.answer(run, PASS, answered=True)
    assert list(told) == []
    whole = ["=== Do ===", f"one\ntwo {MASK}\nlast {MASK}", "=== Do (attempt 2) ===", "again"]
    assert list(reading.logs(str(run_id))) == whole
    assert list(reading.logs("watched", follow=True)) == whole
    first.close()
    second.close()


async def test_following_ends_with_a_run_that_is_forgotten(core: Core, data: Path) -> None:
    job = Job(data, "key")
    _, run_id = await core.lifecycle.accept(event(id="watched"))
    assert run_id
    run = rows.run(core.ledger.reader, run_id)
    await core.lifecycle.plan(run, "{}", answered=True)
    await core.lifecycle.launch(run, Place(0, 0), job.key, "Do")
    job.prints("one\ntwo")
    told = reading.logs("watched", follow=True)
    assert [next(told), next(told)] == ["=== Do ===", "one"]
    await core.ledger.write(lambda db: db.execute("DELETE FROM runs").rowcount)
    assert list(told) == ["two"]
    job.close()


def test_every_byte_is_printed_or_told_to_be_missed(tmp_path: Path) -> None:
    job, seen, printed, missed = Job(tmp_path, "key"), 0, 0, 0
    for size in (10, HEAD_BYTES, 3 * TAIL_BYTES, 1, 40, TAIL_BYTES, TAIL_BYTES + 1, 7 * TAIL_BYTES):
        line = b"x" * 99 + b"\n"
        job.prints(line * (size // 100) + b"y" * (size % 100))
        text, seen = reading.news(job.kept(), seen, ended=False)
        gap = sum(map(int, re.findall(r"\[\.\.\. (\d+) bytes cut", text)))
        missed += gap
        printed += len(re.sub(r"\[\.\.\. \d+ bytes cut \.\.\.\]\n", "", text))
        assert printed + missed == seen
        assert text.endswith("\n") or not text
    text, seen = reading.news(job.kept(), seen, ended=True)
    assert printed + missed + len(text) == seen == job.kept().total
    assert missed > TAIL_BYTES
    job.close()


@pytest.mark.parametrize(
    ("output", "seen", "ended", "text", "then"),
    [
        (Output(b"", 0, b""), 0, True, "", 0),
        (Output(b"a\nb", 0, b""), 0, False, "a\n", 2),
        (Output(b"a\nb", 0, b""), 2, True, "b", 3),
        (Output(b"a\nb", 0, b"c\nd"), 2, False, "bc\n", 5),
        (Output(b"a\nb", 7, b"c\nd\n"), 2, False, "[... 10 bytes cut ...]\nd\n", 14),
        (Output(b"a\nb", 7, b"c\nd\n"), 12, False, "d\n", 14),
        (Output(b"a\nb", 7, b"c\nd\n"), 14, True, "", 14),
        (Output(b"a\nb", 7, b"c\nd"), 2, False, "[... 10 bytes cut ...]\n", 12),
        (Output(b"a\n", 0, b"\xff\n"), 2, False, "\ufffd\n", 4),
    ],
)
def test_what_is_new(output: Output, seen: int, ended: bool, text: str, then: int) -> None:
    assert reading.news(output, seen, ended=ended) == (text, then)


@pytest.mark.slow
def test_following_a_run_that_has_ended_prints_what_is_kept(terminal: Terminal) -> None:
    run = str(terminal.answered()["id"])
    assert terminal.run("logs", "-f", run).output == "=== Say Hello ===\nHello World\n"
