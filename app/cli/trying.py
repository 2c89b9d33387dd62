"""`firstmate run`: one event through one job config, here and now, without any Keptn.

Planner, runner, engine and messages are the service's own; only Keptn is missing.
"""

import asyncio
import json
import signal
import tempfile
import uuid
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import click

from app import settings
from app.cli import layout
from app.cli.layout import Layout
from app.cli.reading import unseen
from app.cli.words import Words
from app.clock import Clock
from app.document.watched import content
from app.errors import Permanent
from app.events import build, parse
from app.events.parse import Event
from app.jobconfig.read import read
from app.keptn.resources import CONFIG_RESOURCE, SCOPES, Resource
from app.ledger import rows
from app.ledger.rows import Run
from app.planning import Ignore, Plan
from app.river import River

commands = Words("trying")
INTERRUPTED = 130
_TICK = 0.05


class Folder:
    """A project's folder in Keptn's place: its files as they are now, one of them the config."""

    def __init__(self, config: Path) -> None:
        self._config = config
        self._layout = Layout.around(config)

    async def read(self, event: Event, uri: str, level: str, commit: str) -> Resource | None:  # noqa: ARG002 - a folder has no commits
        """See `Source.read`."""
        path = self._folder(event, level) / uri
        if uri == CONFIG_RESOURCE and level == "service":
            path = self._config
        return Resource(path.read_bytes(), level, "") if self._holds(path) else None

    async def listed(self, event: Event, level: str) -> list[str]:
        """See `Source.listed`."""
        folder = self._folder(event, level)
        return [name for name in layout.files(folder) if self._holds(folder / name)]

    async def is_wanted(self, event: Event) -> bool:  # noqa: ARG002 - nobody else answers it
        """Whoever tries an event wants an answer, of whatever age it is."""
        return True

    def _holds(self, path: Path) -> bool:
        """Whether it is a file; a link that leads out of the project is none, as in the plane."""
        inside = path == self._config or path.resolve().is_relative_to(self._layout.project)
        return inside and path.is_file()

    def _folder(self, event: Event, level: str) -> Path:
        _, *names = map(event.named, SCOPES[level])
        return self._layout.project.joinpath(*layout.home(*names))


@commands.word("run [--config] --event")
def run(config: Path, event: BinaryIO) -> NoReturn:
    """Run a job config here, without a Keptn, and print what would be sent."""
    read(content("--config", config), str(config))
    asked = _whole(layout.decoded(event.read(), "the event"), Layout.around(config))

    async def attempt(folder: str) -> int:
        river = River(settings.load(data_dir=Path(folder)), Clock(), Folder(config))
        try:
            return await _send_down(river, asked)
        finally:
            await river.close()

    with tempfile.TemporaryDirectory(prefix="firstmate-run-") as folder:
        raise SystemExit(asyncio.run(attempt(folder)))


def _whole(document: Any, found: Layout) -> Event:
    """The event in a document; what Keptn would have set is filled in."""
    data = document.get("data") or {} if isinstance(document, dict) else None
    if not isinstance(data, dict):
        raise Permanent("the event must be a JSON object with a `type`, and `data` an object")
    scope = {"project": found.project.name}
    scope |= {"stage": found.stage or "local", "service": found.service or "local"}
    attributes = {name: str(uuid.uuid4()) for name in ("id", "shkeptncontext")}
    attributes |= {"specversion": "1.0", "source": "firstmate-run"}
    attributes |= {"time": build.timestamp(Clock().now())}
    return parse.read({**attributes, **document, "data": {**scope, **data}})


async def _send_down(river: River, event: Event) -> int:
    """Do what the service would do, and print what it would send; the exit code."""
    _, number = await river.lifecycle.accept(event)
    if number is None:
        raise Permanent(f"{event.type}: not a task's triggered event; nothing would be sent")
    received = rows.run(river.ledger.reader, number)
    decision = await river.planner.decide(received, ask_first=False)
    if isinstance(decision, Ignore):
        raise Permanent(f"{decision.reason}; nothing would be sent")
    if not isinstance(decision, Plan):
        raise Permanent(decision.message)
    await river.lifecycle.plan(received, decision.dump(), answered=decision.answered)
    interrupted = await _perform(river, rows.run(river.ledger.reader, number))
    for letter in rows.letters(river.ledger.reader, number):
        click.echo(json.dumps(json.loads(letter.body), indent=2))
    outcome = json.loads(rows.run(river.ledger.reader, number).outcome or "{}")
    passed = outcome.get("result") in ("pass", "warning")
    return INTERRUPTED if interrupted else int(not passed)


async def _perform(river: River, run: Run) -> bool:
    """Show the output as it comes; Ctrl-C cancels what runs. Whether it did."""
    errand, cancelling = river.runner.begin(run), list[asyncio.Task[None]]()
    performing = asyncio.create_task(river.runner.perform(errand))

    def interrupt() -> None:
        cancelling.append(asyncio.create_task(river.runner.cancel(errand, "Ctrl-C")))

    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupt)
    shown, over = dict[str, int](), False
    while not over:
        over = performing.done()  # asked first, so that the last look sees all
        for task in rows.tasks(river.ledger.reader, run.id):
            output = river.engine.logs(task.key)
            for text in unseen(task, output, shown, ended=bool(task.ended)):
                click.echo(text, err=True)
        await asyncio.wait([performing], timeout=_TICK)
    await asyncio.gather(performing, *cancelling)
    return bool(cancelling)
