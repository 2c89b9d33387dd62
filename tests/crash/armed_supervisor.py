"""The real supervisor, armed: at a boundary of its own it kills the service, perhaps itself too.

Started by the service in place of the supervisor, so only the standard library is at hand.
"""

import json
import os
import sys
from pathlib import Path

from app.engines import supervisor
from tests.crash import killing
from tests.crash.killing import ORDER, Kill


def arm(folder: Path) -> None:
    """Make the supervisor carry out the order that lies beside its folder."""
    order, ours = json.loads((folder.parent / ORDER).read_text()), os.getpid()
    kill = Kill(**order["kill"])

    def reached(name: str) -> None:
        if name != kill.at:
            return
        with (folder.parent / f"{ORDER}.passed").open("ab") as passed:  # also in forked children
            passed_times = passed.tell() + passed.write(b".")
        if passed_times == kill.nth:
            killing.kill(order["service"])
            if kill.children:
                killing.kill_jobs(folder)
                killing.kill(ours)

    supervisor.reached = reached


if __name__ == "__main__":
    arm(Path(sys.argv[1]))
    supervisor.main(sys.argv[1])
