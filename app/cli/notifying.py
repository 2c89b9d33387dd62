"""`firstmate notify`: tries a channel with the code that the service uses; no service is needed."""

import asyncio

from app import settings
from app.main import routes_for
from app.outbound import Outbound


def test(channel: str) -> str:
    """Send one sample message now, and tell what was answered.

    Raises:
        FirstmateError: the routes are broken, there is no such channel, or it was not taken.
    """
    return asyncio.run(_deliver(channel))


async def _deliver(channel: str) -> str:
    outbound = Outbound()
    try:
        routes = routes_for(settings.load(), outbound)
        body = routes.sample(channel)
        answered = await routes.notifiers[channel].deliver(body, 0)
    finally:
        await outbound.close()
    return f"{channel}: taken ({answered})"
