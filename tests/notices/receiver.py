"""Somebody who gets notices over real HTTP, and answers as a test wants; nothing is judged here."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET_PATH = "/services/T0PLANTED/B0PLANTED/planted-token"


@dataclass(frozen=True)
class Reply:
    """A status, or 0 for a broken connection; `takes` says whether the message was kept."""

    status: int = 200
    takes: bool = True
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    @property
    def name(self) -> str:
        """In words, for a report."""
        how = f"status {self.status}" if self.status else "connection broken"
        return how if self.takes == (self.status == 200) else f"{how} though taken"


@dataclass(frozen=True)
class Taken:
    """One message that was kept, in the order in which they came."""

    path: str
    headers: dict[str, str]
    body: Any
    at: float
    reply: Reply


@dataclass
class Receiver:
    """What came in, and the next replies; without any it takes everything."""

    url: str = ""
    taken: list[Taken] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    asked: int = 0
    choose: Callable[[], Reply] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next(self) -> Reply:
        """How to answer now."""
        self.asked += 1
        if self.choose:
            return self.choose()
        return self.replies.pop(0) if self.replies else Reply()

    @property
    def bodies(self) -> list[Any]:
        """What was kept, decoded."""
        return [one.body for one in self.taken]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_: Any) -> None:
        """A client that was killed is no news."""


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on loopback, at an address whose path is a secret."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            with receiver.lock:
                reply = receiver.next()
                if reply.takes:
                    facts = {key.lower(): value for key, value in self.headers.items()}
                    one = Taken(self.path, facts, json.loads(body), time.time(), reply)
                    receiver.taken.append(one)
            if not reply.status:
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in (*reply.headers, ("content-length", str(len(reply.body)))):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, *_: object) -> None:
            pass

    with _Server(("127.0.0.1", 0), Handler) as server:
        receiver.url = f"http://127.0.0.1:{server.server_port}{SECRET_PATH}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield receiver
        server.shutdown()
        thread.join()
