"""`firstmate serve` and `notify`: the service, or one of its channels; nothing is decided here.

The operator is told where everything is; a channel is tried with the code that the service uses.
"""

import asyncio
import contextlib
from pathlib import Path

import click

from app import main, settings
from app.main import Service
from app.outbound import Outbound


def serve(folder: Path, project: str) -> None:
    """Serve until a signal."""
    with contextlib.suppress(KeyboardInterrupt):
        main.serve(settings.load(), folder, project, _greet)


def test_channel(channel: str) -> str:
    """Send one sample message now, and tell what was answered.

    Raises:
        FirstmateError: the routes are broken, there is no such channel, or it was not taken.
    """
    return asyncio.run(_deliver(channel))


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


async def _deliver(channel: str) -> str:
    outbound = Outbound()
    try:
        routes = main.routes_for(settings.load(), outbound)
        body = routes.sample(channel)
        answered = await routes.notifiers[channel].deliver(body, 0)
    finally:
        await outbound.close()
    return f"{channel}: taken ({answered})"
