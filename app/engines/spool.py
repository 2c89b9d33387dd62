"""The file in which a job's output is kept: of fixed size at most, readable while it is written.

A count of all bytes, the head of the output, and a ring with its tail. Only the standard library is
imported here, for the supervisor has nothing else.
"""

import contextlib
import os
import struct

HEAD_BYTES = TAIL_BYTES = 512 * 1024
WANTED = ".wanted"
"""A folder beside those of the tasks. An engine that has to fetch output fetches at once that
of each launch key for which there is a file in it."""

_COUNT = struct.Struct("<Q")


class OutputFile:
    """A file of fixed size at most: a count, the head of the output, and a ring with its tail."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._total = 0

    def append(self, data: bytes) -> None:
        """Add output; in the ring, the oldest gives way."""
        while data:
            place, room = self._place()
            os.pwrite(self._file, data[:room], _COUNT.size + place)
            self._total += len(data[:room])
            data = data[room:]
        os.pwrite(self._file, _COUNT.pack(self._total), 0)

    def _place(self) -> tuple[int, int]:
        """Where the next byte goes, and how many fit before a border."""
        if self._total < HEAD_BYTES:
            return self._total, HEAD_BYTES - self._total
        turn = (self._total - HEAD_BYTES) % TAIL_BYTES
        return HEAD_BYTES + turn, TAIL_BYTES - turn

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)


def read_output(path: str) -> tuple[bytes, int, bytes]:
    """(head, bytes missing, tail) of an output file, also while it is being written."""
    content = b""
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:  # noqa: PTH123 - pathlib would double the start-up time
        content = file.read()
    if len(content) < _COUNT.size:
        return b"", 0, b""
    total, kept = _COUNT.unpack_from(content)[0], content[_COUNT.size :]
    if total <= HEAD_BYTES + TAIL_BYTES:
        return kept[:HEAD_BYTES], 0, kept[HEAD_BYTES:total]
    turn = (total - HEAD_BYTES) % TAIL_BYTES
    ring = kept[HEAD_BYTES:]
    return kept[:HEAD_BYTES], total - HEAD_BYTES - TAIL_BYTES, ring[turn:] + ring[:turn]
