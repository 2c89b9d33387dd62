"""The ledger's file and its one writer thread, which commits what many ask for in one go.

A caller hands in a function of the connection and awaits its result, which comes after the commit
is on disk. No SQL of the business stands here.
"""

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from app.errors import Temporary
from app.ledger import schema
from app.ledger.guard import Reserve

FILE_NAME = "ledger.db"
LARGEST_BATCH = 256
_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
Result = TypeVar("Result")
Work = Callable[[sqlite3.Connection], Any]


class LedgerFull(Temporary):
    """The disk takes no more; what is on it stays, and the sender must come again."""


class _Request(NamedTuple):
    work: Work
    answer: "asyncio.Future[Any]"
    urgent: bool


class Ledger:
    """The open ledger of one service."""

    def __init__(self, folder: Path) -> None:
        self._reserve = Reserve(folder)
        self._reserve.hold()
        path = folder / FILE_NAME
        path.touch(0o600)
        self._connection = connect(path)
        with contextlib.ExitStack() as unless_prepared:
            unless_prepared.callback(self._connection.close)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            schema.prepare(self._connection)
            unless_prepared.pop_all()
        self.reader = connect(path, read_only=True)
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._write_all, name="ledger", daemon=True)
        self._thread.start()

    def write(
        self, work: Callable[[sqlite3.Connection], Result], *, urgent: bool = True
    ) -> "asyncio.Future[Result]":
        """Run `work` in a transaction; done when it is on disk.

        It may run more than once before it counts, so it must do nothing but use its connection.
        What is not urgent (a new event) is refused when space runs out; the rest gets the reserve.

        Raises:
            LedgerFull: the disk is full.
        """
        answer: asyncio.Future[Result] = self._loop.create_future()
        self._requests.put(_Request(work, answer, urgent))
        return answer

    def close(self) -> None:
        """Commit what was asked for, and let go of the file."""
        self._requests.put(None)
        self._thread.join()
        self.reader.close()
        self._connection.close()

    def _write_all(self) -> None:
        while batch := self._gather():
            answers = self._commit(batch)
            with contextlib.suppress(RuntimeError):  # the loop has ended; nobody waits any more
                self._loop.call_soon_threadsafe(_settle, answers)

    def _gather(self) -> list[_Request]:
        """All that waits by now, at least one; after the last one, nothing."""
        batch: list[_Request] = []
        with contextlib.suppress(queue.Empty):
            while len(batch) < LARGEST_BATCH:
                request = self._requests.get(block=not batch)
                if request is None:
                    self._requests.put(None)  # for the next turn
                    break
                batch.append(request)
        return batch

    def _commit(self, batch: list[_Request]) -> list[tuple[_Request, Any]]:
        """One transaction for the batch; if it fails, one for each, so that one harms no other."""
        try:
            return list(zip(batch, self._transact(batch), strict=True))
        except Exception as error:  # noqa: BLE001 - handed to whoever asked for the work
            if len(batch) == 1:
                return [(batch[0], self._retry_with_reserve(batch[0], error))]
        return [answer for request in batch for answer in self._commit([request])]

    def _transact(self, batch: list[_Request]) -> list[Any]:
        if any(not request.urgent for request in batch) and not self._reserve.hold():
            raise LedgerFull("the ledger's disk is full")
        with self._connection as db:  # which commits, or rolls back
            db.execute("BEGIN IMMEDIATE")
            return [request.work(db) for request in batch]

    def _retry_with_reserve(self, request: _Request, error: Exception) -> Any:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code not in _FULL:
            return error
        if request.urgent and self._reserve.spend():
            return self._commit([request])[0][1]
        return LedgerFull("the ledger's disk is full")


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection in autocommit mode whose rows can be read by name."""
    uri = path.resolve().as_uri() + ("?mode=ro" if read_only else "")
    db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=10)
    db.row_factory = sqlite3.Row
    return db


def _settle(answers: list[tuple[_Request, Any]]) -> None:
    for request, result in answers:
        if request.answer.done():
            continue
        if isinstance(result, Exception):
            request.answer.set_exception(result)
        else:
            request.answer.set_result(result)
