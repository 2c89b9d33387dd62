"""A program that hosts a plane, prints its port, and runs until it is killed: FOLDER DOOR."""

import asyncio
import sys
from pathlib import Path

import uvicorn

from app.clock import Clock
from app.plane.house import Plane
from tests.plane.keptn import settings


async def main() -> None:
    plane = Plane(settings(Path(sys.argv[1]), door_url=sys.argv[2]), Clock())
    server = uvicorn.Server(uvicorn.Config(plane.app, port=0, log_level="error", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    print(server.servers[0].sockets[0].getsockname()[1], flush=True)
    await asyncio.gather(serving, plane.run())


asyncio.run(main())
