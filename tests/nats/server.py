"""A real nats-server as a process of its own, which can be killed and started again.

Whether there is a stream in it is the business of those who connect.
"""

import contextlib
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.closing import Closing

PROGRAM = Path(sys.executable).with_name("nats-server")


class NatsServer(Closing):
    """A server on one loopback port, with JetStream on disk where a `store` is named."""

    def __init__(self, store: Path | None = None, *arguments: str) -> None:
        # A bound socket that never listens keeps the port ours, also between two starts.
        self._keeper = socket.socket()
        self._keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._keeper.bind(("127.0.0.1", 0))
        self.port = int(self._keeper.getsockname()[1])
        self.url = f"nats://127.0.0.1:{self.port}"
        streams = ["--jetstream", "--store_dir", str(store)] if store else []
        self._command = [str(PROGRAM), "--addr", "127.0.0.1", "--port", str(self.port)]
        self._command += [*streams, *arguments]
        self.start()

    def start(self) -> None:
        """Run, and return when it listens."""
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until = time.monotonic() + 10
        while not self._answers():
            assert self._process.poll() is None, f"{self._command} ended"
            assert time.monotonic() < until, f"{self._command} does not listen"
            time.sleep(0.01)

    def close(self) -> None:
        """End it, and let go of its port."""
        self.kill()
        self._keeper.close()

    def kill(self) -> None:
        """End it with -9."""
        self._process.kill()
        self._process.wait()

    def _answers(self) -> bool:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.port), 1) as met,
        ):
            return met.recv(4) == b"INFO"
        return False
