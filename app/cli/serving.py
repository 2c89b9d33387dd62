"""`firstmate serve`: starts the service and tells its operator where it is; it decides nothing."""

import contextlib
from pathlib import Path

import click

from app import main, settings
from app.main import Service


def serve(folder: Path, project: str) -> None:
    """Serve until a signal."""
    with contextlib.suppress(KeyboardInterrupt):
        main.serve(settings.load(), folder, project, _greet)


def _greet(service: Service) -> None:
    places = service.places
    click.echo(f"events are taken at  {places['door']}/")
    click.echo(f"health and metrics   {places['ops']}/metrics")
    click.echo(f"tasks run on         the engine `{places['engine']}`")
    if not service.plane:
        click.echo(f"answers go to        {places['answers']}")
        return
    click.echo(f"control plane        {places['api']}  (x-token: {service.token_file})")
    click.echo(f"project              {service.plane.project}")
    click.echo("next, in another terminal:")
    click.echo(f"  export DATA_DIR={service.settings.data_dir}")
    for stage, sequence in service.plane.sequences[:3]:
        scope = f"--project {service.plane.project} --stage {stage} --service SERVICE"
        click.echo(f"  firstmate trigger sequence {sequence} {scope}")
    click.echo("  firstmate runs --follow")
