"""The `firstmate` command; words and flags are those of the `keptn` command where it has them.

Exit codes: 0 done, 1 it failed or was not found, 2 wrong usage, 130 interrupted. Each command's
module is imported only when it runs, so that reading the ledger starts fast.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from app.errors import FirstmateError


class Commands(click.Group):
    """Commands whose errors are lines for people, not tracebacks."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error is one line on standard error, and exit code 1."""
        try:
            return super().invoke(ctx)
        except (FirstmateError, OSError) as error:
            click.echo(f"firstmate: {error}", err=True)
            ctx.exit(1)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Ours and the captain's."""
        return sorted([*super().list_commands(ctx), *_captains()])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One of ours, else one of the captain's."""
        return super().get_command(ctx, cmd_name) or _captains().get(cmd_name)


def _captains() -> Mapping[str, click.Command]:
    """The commands that ask a Keptn."""
    from app.cli import captain  # noqa: PLC0415 - see above

    return captain.commands.commands


FILE = click.Path(path_type=Path, dir_okay=False)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="keptn-firstmate", prog_name="firstmate")
def main() -> None:
    """Do the work that Keptn orders, or take command where there is no Keptn.

    Settings are environment variables (docs/settings.md); DATA_DIR names the folder of all state.
    """


@main.command()
@click.argument("folder", default=".", type=click.Path(path_type=Path, file_okay=False))
@click.option("--project", default="", help="Project name; default: the shipyard's metadata.name.")
def serve(folder: Path, project: str) -> None:
    """Serve the project in FOLDER alone, or the Keptn that is configured."""
    from app.cli import serving  # noqa: PLC0415 - see above

    serving.serve(folder, project)


@main.command()
@click.option("--ignored", is_flag=True, help="Also events that needed no answer.")
@click.option("--follow", is_flag=True, help="Go on printing what changes.")
@as_json
def runs(ignored: bool, follow: bool, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """List the newest runs of DATA_DIR, beside a running or a stopped service."""
    from app.cli import reading  # noqa: PLC0415 - see above

    for line in reading.runs(ignored=ignored, follow=follow, as_json=as_json):
        click.echo(line)


@main.command()
@click.argument("run")
@click.option("-f", "--follow", is_flag=True, help="Go on printing until the run ends.")
def logs(run: str, follow: bool) -> None:  # noqa: FBT001 - click's way
    """Print the output of RUN: a run's number or its event's id."""
    from app.cli import reading  # noqa: PLC0415 - see above

    for text in reading.logs(run, follow=follow):
        click.echo(text)


@main.command()
@click.argument("files", nargs=-1, type=FILE)
@click.option("--cluster", is_flag=True, help="Check the cluster and the Keptn of the service.")
@click.option("--strict", is_flag=True, help="Warnings count as errors.")
@as_json
def check(files: tuple[Path, ...], cluster: bool, strict: bool, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """Check job configs, shipyards, routes and policies: FILES, or all of this folder's project."""
    from app.cli import checking  # noqa: PLC0415 - see above

    if cluster and files:
        raise click.UsageError("--cluster looks at what is around the service, and at no FILES")
    found: list[Any]
    if cluster:
        from app.cli import clustering  # noqa: PLC0415 - see above

        found = clustering.check()
    else:
        found = checking.check(files)
    click.echo(checking.report(found, as_json=as_json), nl=False)
    grave = ("error", "warning") if strict else ("error",)
    raise SystemExit(int(any(one.severity in grave for one in found)))


@main.command()
@click.argument("kind", default="jobconfig", type=click.Choice(["jobconfig", "routes", "policy"]))
def schema(kind: str) -> None:
    """Print the JSON Schema of a kind of file, for editors."""
    from app.cli import checking  # noqa: PLC0415 - see above

    click.echo(checking.schema(kind))


@main.command("run")
@click.option("-f", "config", default="jobconfig.yaml", type=FILE, help="The job config.")
@click.option("--event", help="File with the event, or - for standard input.", type=click.File())
@click.option("--task", help="In place of an event: the task that is asked for.")
@click.option("--data", multiple=True, help="With --task: its data, such as action.value=5.")
def run_here(config: Path, event: Any, task: str, data: tuple[str, ...]) -> None:
    """Run a job config here, without a Keptn, and print what would be sent."""
    from app.cli import trying  # noqa: PLC0415 - see above

    if bool(event) == bool(task):
        raise click.UsageError("name the event: either --event FILE or --task NAME")
    text = event.read() if event else trying.asked(task, data)
    raise SystemExit(trying.run(config, trying.event_in(text, config)))


@main.group()
def notify() -> None:
    """Messages to people."""


@notify.command("test")
@click.argument("channel")
def test_channel(channel: str) -> None:
    """Send a sample message to CHANNEL, as ROUTES_FILE has it, and print what was answered."""
    from app.cli import serving  # noqa: PLC0415 - see above

    click.echo(serving.test_channel(channel))


@main.command()
@click.argument("event_id")
@as_json
def why(event_id: str, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """Tell what became of an event, and why."""
    from app.cli import reading  # noqa: PLC0415 - see above

    click.echo(reading.why(event_id, as_json=as_json))
