"""Many notices over a channel that fails half of the time, with kill -9 and a restart amid them.

`python -m tests.notices.flood [NUMBER]` prints the figures; exit code 1 if one is not as promised.
"""

import contextlib
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx

from app.ledger import guard
from tests.notices.receiver import Receiver, Reply, Taken, receiving

STEPS = 4
"""Events of one Keptn context, which must be told in their order."""

PUSHERS = 4
FAILURES = (
    Reply(500, takes=False),
    Reply(500, takes=True),
    Reply(0, takes=False),
    Reply(0, takes=True),
    Reply(429, takes=False, headers=(("retry-after", "0.02"),)),
)
_HASTY = (
    "from app.clock import Clock; Clock.first_delay, Clock.longest_delay = 0.01, 0.2; "
    "from app.cli import main; main()"
)
"""The real program, but for its waits, which are 50 times shorter."""

_SHIPYARD = """
apiVersion: spec.keptn.sh/0.2.4
kind: Shipyard
metadata: {name: flood}
spec: {stages: [{name: dev, sequences: [{name: delivery, tasks: [{name: step}]}]}]}
"""
_ROUTES = """
apiVersion: firstmate/v1
channels:
- name: chat
  urlFrom: {{file: {secret}}}
  template: {{context: "{{{{ context }}}}", step: "{{{{ task }}}}"}}
routes:
- channels: [chat]
"""


@dataclass(frozen=True)
class Figures:
    """What came of a flood; `lost`, `unexplained`, `order_broken` and `dead` must be 0.

    A duplicate is explained by a reply from which nobody could tell that the message was taken, or
    by a good reply shortly before the kill, which the killed process did not live to write down.
    """

    notices: int
    requests: int
    replies: dict[str, int]
    lost: int
    duplicates: int
    after_unclear_reply: int
    around_the_kill: int
    unexplained: int
    order_broken: int
    dead: int
    taken_before_the_kill: int
    seconds: float

    @property
    def is_promised(self) -> bool:
        """Whether all is as it must be."""
        return not (self.lost or self.unexplained or self.order_broken or self.dead)


def flood(number: int, folder: Path, seed: int = 1) -> Figures:
    """Send so many notices through a real service, which is killed when half have arrived."""
    chance, begun = random.Random(seed), time.monotonic()
    with receiving() as receiver:
        told = Counter[str]()

        def choose() -> Reply:
            reply = chance.choice(FAILURES) if chance.random() < 0.5 else Reply()
            told[reply.name] += 1
            return reply

        receiver.choose = choose
        environment = _prepare(folder, receiver)
        service = _start(folder, environment)
        pushers = [
            threading.Thread(target=_push, args=(folder, range(n, number // STEPS, PUSHERS)))
            for n in range(PUSHERS)
        ]
        for pusher in pushers:
            pusher.start()
        _until(lambda: len(receiver.taken) >= number // 2, number)
        service.kill()
        service.wait()
        killed, before = time.time(), len(receiver.taken)
        service = _start(folder, environment)
        try:
            for pusher in pushers:
                pusher.join()
            _until(lambda: _states(folder)["done"] + _states(folder)["dead"] >= number, number)
        finally:
            service.terminate()
            service.wait()
        expected = {
            (f"context-{n}", f"step{step}") for n in range(number // STEPS) for step in range(STEPS)
        }
        return _judge(
            receiver,
            expected,
            dict(told),
            killed,
            dead=_states(folder)["dead"],
            before=before,
            seconds=time.monotonic() - begun,
        )


def _judge(
    receiver: Receiver,
    expected: set[tuple[str, str]],
    told: dict[str, int],
    killed: float,
    **known: float,
) -> Figures:
    takes: dict[tuple[str, str], list[Taken]] = {}
    orders: dict[str, list[str]] = {}
    for one in receiver.taken:
        takes.setdefault((one.body["context"], one.body["step"]), []).append(one)
        orders.setdefault(one.body["context"], []).append(one.body["step"])
    again = [earlier for each in takes.values() for earlier in each[:-1]]
    unclear = sum(one.reply.status != 200 for one in again)
    by_kill = sum(one.reply.status == 200 and killed - 2 < one.at < killed for one in again)
    return Figures(
        notices=len(expected),
        requests=receiver.asked,
        replies=told,
        lost=len(expected - takes.keys()),
        duplicates=len(again),
        after_unclear_reply=unclear,
        around_the_kill=by_kill,
        unexplained=len(again) - unclear - by_kill,
        order_broken=sum(steps != sorted(steps) for steps in orders.values()),
        dead=round(known["dead"]),
        taken_before_the_kill=round(known["before"]),
        seconds=round(known["seconds"], 1),
    )


def _prepare(folder: Path, receiver: Receiver) -> dict[str, str]:
    secret, routes = folder / "secret", folder / "routes.yaml"
    (folder / "shipyard.yaml").write_text(_SHIPYARD)
    secret.write_text(receiver.url)
    routes.write_text(_ROUTES.format(secret=secret))
    ports = dict.fromkeys(("PORT", "OPS_PORT", "PLANE_PORT"), "0")
    place = {"DATA_DIR": str(folder / "data"), "ROUTES_FILE": str(routes), "RUNNER": "process"}
    return {**os.environ, **ports, **place}


def _start(folder: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    with (folder / "service.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-c", _HASTY, "serve", str(folder)],
            env=environment,
            stdout=log,
            stderr=log,
        )


def _push(folder: Path, contexts: range) -> None:
    """Every step of these contexts in order, again until the door has taken it."""
    with httpx.Client(timeout=5, trust_env=False) as client:
        for step in range(STEPS):
            for number in contexts:
                event = _event(number, step)
                while not _taken(client, folder, event):
                    time.sleep(0.05)


def _event(number: int, step: int) -> dict[str, object]:
    scope = {"project": "flood", "stage": "dev", "service": "carts"}
    return {
        "specversion": "1.0",
        "id": f"{number}-{step}",
        "source": "somebody-else",
        "type": f"sh.keptn.event.step{step}.finished",
        "shkeptncontext": f"context-{number}",
        "data": {**scope, "status": "succeeded", "result": "pass"},
    }


def _taken(client: httpx.Client, folder: Path, event: dict[str, object]) -> bool:
    headers = {"content-type": "application/cloudevents+json"}
    with contextlib.suppress(httpx.HTTPError, KeyError, OSError):
        door = guard.read_holder(folder / "data")["door"]
        return client.post(f"{door}/", json=event, headers=headers).status_code == 202
    return False


def _states(folder: Path) -> Counter[str]:
    path = folder / "data" / "ledger.db"
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as ledger:
        return Counter(dict(ledger.execute("SELECT state, count(*) FROM outbox GROUP BY state")))


def _until(holds: Callable[[], bool], number: int) -> None:
    until = time.monotonic() + 60 + number / 10
    while not holds():
        if time.monotonic() > until:
            raise TimeoutError("the flood does not end")
        time.sleep(0.05)


def main() -> int:
    """Run one, and print what came of it."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory(prefix="flood-") as name:
        figures = flood(number, Path(name))
    for key, value in asdict(figures).items():
        print(f"{key.replace('_', ' '):22} {value}")
    return 0 if figures.is_promised else 1


if __name__ == "__main__":
    sys.exit(main())
