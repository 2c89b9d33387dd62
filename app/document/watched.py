"""A file that people change while the service runs; what stands in it is for its reader to say."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from app.errors import Permanent

Value = TypeVar("Value")
_LOG = logging.getLogger(__name__)


class Watched(Generic[Value]):
    """The last good version of a file, as `load` makes it of the bytes; `name` is its variable.

    Raises:
        Permanent: at the start it is broken, or cannot be read.
    """

    def __init__(self, name: str, path: Path, load: Callable[[bytes], Value]) -> None:
        self._name = name
        self._path = path
        self._load = load
        self._stamp = self._seen()
        self.value = self._read()
        """As it was last seen; replaced as a whole, so that any thread may read it."""
        self.fault = ""
        """Why the version that lies there now is not in use; empty when it is."""

    def refreshed(self) -> Value:
        """The value after a look at the file; a broken one is told, and not used."""
        if self._stamp != (stamp := self._seen()):
            self._stamp = stamp
            try:
                self.value, self.fault = self._read(), ""
            except Permanent as error:
                self.fault = str(error)
                _LOG.error("%s stays as it was: %s", self._name, self.fault)
        return self.value

    def _seen(self) -> tuple[int, ...]:
        """What tells one version of the file from another."""
        try:
            found = self._path.stat()
        except OSError:
            return ()
        return (found.st_mtime_ns, found.st_size, found.st_ino)

    def _read(self) -> Value:
        try:
            return self._load(self._path.read_bytes())
        except (OSError, UnicodeDecodeError) as error:
            what = f"{self._name} {self._path} cannot be read: {type(error).__name__}"
            raise Permanent(what) from None
