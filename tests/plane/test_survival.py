"""A plane killed with -9 goes on where it was, and loses nothing that it had acknowledged."""

import random
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from app.plane.store import Store
from tests.plane.keptn import TOKEN, Client, Json

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@contextmanager
def hosted(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "tests.plane.host", str(folder), "http://127.0.0.1:9"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield process, f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.send_signal(signal.SIGKILL)


async def test_a_sequence_survives_a_kill_after_every_step(folder: Path) -> None:
    context = ""
    steps = ["trigger", *("started", "finished") * 3]
    for step in steps:
        with hosted(folder) as (_, url):
            async with httpx.AsyncClient(base_url=url, headers={"x-token": TOKEN}) as http:
                keptn = Client(http)
                if step == "trigger":
                    context = await keptn.trigger()
                else:
                    await keptn.answer(await open_task(keptn), step, **done(step))
    with hosted(folder) as (_, url):
        async with httpx.AsyncClient(base_url=url, headers={"x-token": TOKEN}) as http:
            keptn = Client(http)
            assert await keptn.state(context) == "finished"
            chain = await keptn.chain(context)
    assert chain[-1] == "prod.delivery.finished"
    assert len(chain) == len(set(chain)) == 13


async def test_what_was_acknowledged_under_load_is_there_after_the_kill(folder: Path) -> None:
    acknowledged: list[str] = []
    for round_number in range(3):
        left = random.Random(round_number).randrange(5, 25)
        with hosted(folder) as (process, url):
            async with httpx.AsyncClient(base_url=url, headers={"x-token": TOKEN}) as http:
                while left := left - 1:
                    acknowledged.append(await Client(http).trigger(service=f"s{len(acknowledged)}"))
            process.send_signal(signal.SIGKILL)
    with hosted(folder) as (_, url):
        async with httpx.AsyncClient(base_url=url, headers={"x-token": TOKEN}) as http:
            for context in acknowledged:
                chain = await Client(http).chain(context)
                assert chain == ["dev.delivery.triggered", "deployment.triggered"]


async def open_task(keptn: Client) -> Json:
    found = [task for name in ("deployment", "test", "release") for task in await keptn.open(name)]
    assert len(found) == 1
    return found[0]


def done(step: str) -> dict[str, str]:
    return {"result": "pass", "status": "succeeded"} if step == "finished" else {}


def test_closing_waits_for_a_look_up_that_another_thread_is_in(tmp_path: Path) -> None:
    """SQLite ends the whole process when a connection goes away under a statement."""

    def look(store: Store, under_way: threading.Event) -> None:
        try:
            while True:
                under_way.set()
                store.unanswered(due_before=1.0)
        except sqlite3.ProgrammingError:
            return

    for round_number in range(50):
        store, under_way = Store(tmp_path / f"{round_number}.db"), threading.Event()
        thread = threading.Thread(target=look, args=(store, under_way))
        thread.start()
        under_way.wait()
        store.close()
        thread.join()
