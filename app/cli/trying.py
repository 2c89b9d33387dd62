"""`firstmate run`: one event through one job config, here and now, without any Keptn.

Planner, runner, engine and messages are the service's own; only Keptn is missing.
"""

import asyncio
import json
import signal
import tempfile
import uuid
from pathlib import Path
from typing import Any, NoReturn, TextIO

import click

from app import settings
from app.cli import layout
from app.cli.layout import Layout
from app.cli.reading import unseen
from app.cli.triggering import unfold
from app.cli.words import Words
from app.clock import Clock
from app.errors import Permanent
from app.events import build, grammar, parse
from app.events.parse import Event
from app.jobconfig.read import read
from app.keptn.resources import CONFIG_RESOURCE, Resource
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
        return Resource(path.read_bytes(), level, "") if path.is_file() else None

    async def listed(self, event: Event, level: str) -> list[str]:
        """See `Source.listed`."""
        return list(layout.files(self._folder(event, level)))

    async def is_open(self, event: Event) -> bool:  # noqa: ARG002 - nobody else answers it
        """Whoever tries an event wants an answer, of whatever age it is."""
        return True

    def _folder(self, event: Event, level: str) -> Path:
        return self._layout.level(level, event.named("stage"), event.named("service"))


class Trial:
    """One event on its way down the river."""

    def __init__(self, river: River) -> None:
        self._river = river
        self._shown: dict[str, int] = {}

    async def run(self, event: Event) -> int:
        """Do what the service would do; the exit code."""
        _, number = await self._river.lifecycle.accept(event)
        if number is None:
            raise Permanent(f"{event.type}: not a task's triggered event; nothing would be sent")
        decision = await self._river.planner.decide(self._run(number), ask_first=False)
        if isinstance(decision, Ignore):
            raise Permanent(f"{decision.reason}; nothing would be sent")
        if not isinstance(decision, Plan):
            raise Permanent(decision.message)
        await self._river.lifecycle.plan(
            self._run(number), decision.dump(), answered=decision.answered
        )
        interrupted = await self._perform(self._run(number))
        passed = self._tell(number)
        return INTERRUPTED if interrupted else int(not passed)

    async def _perform(self, run: Run) -> bool:
        """Show the output as it comes; Ctrl-C cancels what runs. Whether it did."""
        errand, cancelling = self._river.runner.begin(run), list[asyncio.Task[None]]()
        performing = asyncio.create_task(self._river.runner.perform(errand))

        def interrupt() -> None:
            cancelling.append(asyncio.create_task(self._river.runner.cancel(errand, "Ctrl-C")))

        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupt)
        while not performing.done():
            self._show(run.id)
            await asyncio.wait([performing], timeout=_TICK)
        self._show(run.id)
        await asyncio.gather(performing, *cancelling)
        return bool(cancelling)

    def _show(self, number: int) -> None:
        """The output that is new, each task's under a heading, on standard error."""
        for task in rows.tasks(self._river.ledger.reader, number):
            output = self._river.engine.logs(task.key)
            for text in unseen(task, output, self._shown, ended=bool(task.ended)):
                click.echo(text, err=True)

    def _tell(self, number: int) -> bool:
        """Print what would have been sent; whether all is well."""
        for letter in rows.letters(self._river.ledger.reader, number):
            click.echo(json.dumps(json.loads(letter.body), indent=2))
        outcome = json.loads(self._run(number).outcome or "{}")
        return outcome.get("result") in ("pass", "warning")

    def _run(self, number: int) -> Run:
        return rows.run(self._river.ledger.reader, number)


@commands.word("run [--config] [--event] [--task] [--data]")
def run(config: Path, event: TextIO | None, task: str, data: tuple[str, ...]) -> NoReturn:
    """Run a job config here, without a Keptn, and print what would be sent."""
    if bool(event) == bool(task):
        raise click.UsageError("name the event: either --event FILE or --task NAME")
    asked = {"type": grammar.of_task(task, "triggered"), "data": unfold(data)}
    raise SystemExit(_try(config, _event(event.read() if event else json.dumps(asked), config)))


def _try(config: Path, event: Event) -> int:
    """Try an event on a job config; the exit code: 0 for pass and warning."""
    read(layout.text(config), str(config))

    async def attempt(data: str) -> int:
        river = River(settings.load(data_dir=Path(data)), Clock(), Folder(config))
        try:
            return await Trial(river).run(event)
        finally:
            await river.close()

    with tempfile.TemporaryDirectory(prefix="firstmate-run-") as data:
        return asyncio.run(attempt(data))


def _event(text: str, config: Path) -> Event:
    """The event in a JSON text; what Keptn would have set is filled in, and told."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise Permanent(f"the event is not JSON: {error}") from None
    if not isinstance(document, dict) or not isinstance(document.get("data") or {}, dict):
        raise Permanent("the event must be a JSON object with a `type`, and `data` an object")
    whole, filled = _completed(document, Layout.around(config))
    if filled:
        click.echo(f"filled in: {', '.join(filled)}", err=True)
    return parse.read(whole)


def _completed(document: dict[str, Any], found: Layout) -> tuple[dict[str, Any], list[str]]:
    """The whole event, and what was filled in."""
    scope = {"project": found.project.name}
    scope |= {"stage": found.stage or "local", "service": found.service or "local"}
    attributes = {name: str(uuid.uuid4()) for name in ("id", "shkeptncontext")}
    attributes |= {"specversion": "1.0", "source": "firstmate-run"}
    attributes |= {"time": build.timestamp(Clock().now())}
    given = {name: value for name, value in document.items() if value not in (None, "")}
    data = {name: value for name, value in given.get("data", {}).items() if value is not None}
    filled = [name for name in attributes if name not in given]
    filled += [f"data.{name}={value}" for name, value in scope.items() if name not in data]
    return {**attributes, **given, "data": {**scope, **data}}, filled
