"""The `firstmate` command; words and flags are those of the `keptn` command where it has them.

Exit codes: 0 done, 1 it failed or was not found, 2 wrong usage, 130 interrupted. Each command's
module is imported only when it runs, so that reading the ledger starts fast.
"""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click

from app.errors import FirstmateError


class Failure(click.ClickException):
    """One line on standard error, and exit code 1."""

    def show(self, file: Any = None) -> None:
        """Print the line."""
        click.echo(f"firstmate: {self.message}", file=file, err=True)


class Commands(click.Group):
    """Commands whose errors are lines for people, not tracebacks."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except FirstmateError as error:
            raise Failure(str(error)) from None


def _version() -> str:
    try:
        return version("keptn-firstmate")
    except PackageNotFoundError:
        return "not installed"


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(_version(), prog_name="firstmate")
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
@click.argument("folder", default=".", type=click.Path(path_type=Path, file_okay=False))
def demo(folder: Path) -> None:
    """Show two sequences on the files in FOLDER, from trigger to answer."""
    from app.cli import showing  # noqa: PLC0415 - see above

    raise SystemExit(showing.run(folder))


@main.group()
def trigger() -> None:
    """Trigger a sequence."""


@trigger.command()
@click.argument("name")
@click.option("--project", required=True, help="Keptn project.")
@click.option("--stage", required=True, help="Keptn stage.")
@click.option("--service", required=True, help="Keptn service.")
@click.option("--labels", default="", help="Labels, such as build=7,team=red.")
@click.option("--data", multiple=True, help="Input of the sequence, such as action.value=5.")
@as_json
def sequence(name: str, as_json: bool, **options: Any) -> None:  # noqa: FBT001 - click's way
    """Trigger the sequence NAME, here or at KEPTN_API_ENDPOINT."""
    from app.cli import triggering  # noqa: PLC0415 - see above

    context = triggering.trigger(name, **options)
    click.echo(triggering.report(context, as_json=as_json))


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
def logs(run: str) -> None:
    """Print the output of RUN: a run's number or its event's id."""
    from app.cli import reading  # noqa: PLC0415 - see above

    for line in reading.logs(run):
        click.echo(line)


@main.command()
@click.argument("event_id")
@as_json
def why(event_id: str, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """Tell what became of an event, and why."""
    from app.cli import reading  # noqa: PLC0415 - see above

    click.echo(reading.why(event_id, as_json=as_json))
