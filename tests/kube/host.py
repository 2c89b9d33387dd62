"""The double as a program: clusters that outlive whatever a test kills, made and told over HTTP.

`python -m tests.kube.host` prints the address at which it takes orders, and ends with its standard
input. What an order does, the parts of the double know; who gives them, `client` has.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from app.clock import Clock
from tests.kube.machine import Machine
from tests.kube.plays import Play
from tests.kube.server import Kube
from tests.kube.weather import COURSES

OVER = ("Complete", "Failed")


@dataclass
class Berth:
    """A cluster with what keeps it there, and the weather that it has."""

    kube: Kube
    life: contextlib.AsyncExitStack
    weather: "asyncio.Task[None] | None" = None


class Host:
    """All clusters, by their number."""

    def __init__(self) -> None:
        self._berths: dict[str, Berth] = {}
        self._number = 0
        self.app = web.Application()
        place = "/clusters/{number}"
        self.app.add_routes(
            [
                web.post("/clusters", self._open),
                web.get(place, self._report),
                web.delete(place, self._close),
                web.post(f"{place}/{{order}}", self._obey),
            ]
        )

    async def close(self) -> None:
        """End all clusters, and what runs in them."""
        for number in list(self._berths):
            await self._end(number)

    async def _open(self, request: web.Request) -> web.Response:
        kube, life = Kube(Clock(), Machine), contextlib.AsyncExitStack()
        kube.validating = bool((await request.json())["validating"])
        await life.enter_async_context(kube.running())
        self._number += 1
        self._berths[str(self._number)] = Berth(kube, life)
        return web.json_response({"number": self._number, "url": kube.url, "token": kube.token})

    async def _close(self, request: web.Request) -> web.Response:
        await self._end(request.match_info["number"])
        return web.json_response({})

    async def _end(self, number: str) -> None:
        berth = self._berths.pop(number)
        if berth.weather:
            berth.weather.cancel()
        await berth.life.aclose()

    async def _report(self, request: web.Request) -> web.Response:
        kube = self._berths[request.match_info["number"]].kube
        return web.json_response(
            {
                "calls": {" ".join(right): number for right, number in kube.calls.items()},
                "refused": {" ".join(right): number for right, number in kube.refused.items()},
                "made": kube.made,
                "launched": kube.jobs.launched,
                "running": [one["metadata"]["name"] for one in kube.all("jobs") if _runs(one)],
                "said": kube.said() if "said" in request.query else "",
            }
        )

    async def _obey(self, request: web.Request) -> web.Response:
        berth, given = self._berths[request.match_info["number"]], await request.json()
        order = getattr(self, f"_order_{request.match_info['order']}")
        order(berth, **given)
        return web.json_response({})

    def _order_weather(self, berth: Berth, course: str) -> None:
        async def play() -> None:
            await COURSES[course](berth.kube)

        berth.weather = asyncio.create_task(play())

    def _order_play(self, berth: Berth, image: str, **play: Any) -> None:
        berth.kube.play(image, Play(**play))

    def _order_secret(self, berth: Berth, **secret: str) -> None:
        berth.kube.secret(**secret)

    def _order_kill(self, berth: Berth, pid: int, nth: int) -> None:
        """End a process when the nth Job from now on is made, before anybody is told of it."""
        due = len(berth.kube.made) + nth

        def when_made() -> None:
            if len(berth.kube.made) == due:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

        berth.kube.when_made = when_made


def _runs(job: dict[str, Any]) -> bool:
    conditions = job.get("status", {}).get("conditions", [])
    return not any(one["type"] in OVER and one["status"] == "True" for one in conditions)


@contextlib.asynccontextmanager
async def hosting() -> AsyncIterator[str]:
    """Take orders at the address that is given."""
    host = Host()
    runner = web.AppRunner(host.app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await host.close()
        await runner.cleanup()


async def main() -> None:
    """Host until standard input ends."""
    async with hosting() as address:
        print(address, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
