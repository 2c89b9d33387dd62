"""The program `python -m tests.bench.generator DOOR CONNECTIONS SECONDS PREFIX`: wrk's stand-in.

Raw sockets and bytes made beforehand: little but system calls is left. Prints one JSON line.
"""

import json
import select
import socket
import sys
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

from tests.bench import events
from tests.bench.table import percentile

END = b"\r\n\r\n"
ACCEPTED = b"HTTP/1.1 202"


class Connection:
    """One keep-alive connection with one request in flight; `fresh` are the ids to come."""

    def __init__(self, address: tuple[str, int], fresh: Iterator[bytes]) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request = bytearray(events.request(events.triggered()))
        self._place = self._request.index(events.PLACEHOLDER.encode())
        self._fresh = fresh
        self._reply = b""
        self._sent = 0.0

    def send(self) -> None:
        """Send the next event."""
        fresh = next(self._fresh)
        self._request[self._place : self._place + len(fresh)] = fresh
        self._reply, self._sent = b"", time.perf_counter()
        self.socket.send(self._request)

    def receive(self) -> tuple[float, bool] | None:
        """(seconds, accepted) when the reply, which has no body, is whole."""
        self._reply += self.socket.recv(4096)
        if not self._reply.endswith(END):
            return None
        return time.perf_counter() - self._sent, self._reply.startswith(ACCEPTED)


def load(door: str, connections: int, seconds: float, prefix: str) -> dict[str, float]:
    """Push for so long; rate in 1/s, latencies in ms."""
    place = urlsplit(door)
    fresh = iter([f"{prefix}{number:024d}".encode() for number in range(int(seconds * 60_000))])
    opened = [
        Connection((str(place.hostname), int(place.port or 80)), fresh) for _ in range(connections)
    ]
    by_handle = {one.socket.fileno(): one for one in opened}
    poll = select.epoll()
    for handle in by_handle:
        poll.register(handle, select.EPOLLIN)
    took: list[float] = []
    failed = 0
    begin = time.perf_counter()
    for one in opened:
        one.send()
    while time.perf_counter() - begin < seconds:
        for handle, _ in poll.poll(1):
            if reply := by_handle[handle].receive():
                took.append(reply[0] * 1000)
                failed += not reply[1]
                by_handle[handle].send()
    rate = len(took) / (time.perf_counter() - begin)
    figures = {"rate": rate, "p50": percentile(took, 50), "p99": percentile(took, 99)}
    return {**figures, "failed": failed}


if __name__ == "__main__":
    print(json.dumps(load(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4])))
