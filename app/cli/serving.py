"""`firstmate serve` and `notify`: the service, or one of its channels; nothing is decided here.

The operator is told where everything is; a channel is tried with the code that the service uses.
"""

import asyncio
import contextlib
from pathlib import Path

import click

from app import main, settings
from app.cli.words import Words
from app.main import Service
from app.outbound import Outbound

commands = Words("serving")


@commands.word("serve [FOLDER] [--project]")
def serve(folder: str, project: str) -> None:
    """Serve the project in FOLDER alone, or the Keptn that is configured.

    FOLDER is by default the current one; the project's name, that of its shipyard.
    """
    with contextlib.suppress(KeyboardInterrupt):
        main.serve(settings.load(), Path(folder), project, _greet)


@commands.word("notify test CHANNEL")
def test_channel(channel: str) -> str:
    """Send a sample message to CHANNEL, as ROUTES_FILE has it, and print what was answered."""

    async def deliver() -> str:
        outbound = Outbound()
        try:
            routes = main.routes_for(settings.load(), outbound)
            body = routes.sample(channel)
            return await routes.notifiers[channel].deliver(body, 0)
        finally:
            await outbound.close()

    return f"{channel}: taken ({asyncio.run(deliver())})"


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
