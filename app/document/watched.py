"""Files that variables name, and that people change while the service runs.

What stands in one is for its reader to say.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from app.errors import Permanent

Value = TypeVar("Value")
_LOG = logging.getLogger(__name__)


class Watched(Generic[Value]):
    """The last good version of a file, as `load` makes it of the text; `name` is its variable.

    Where the variable names no file, it is `otherwise`.

    Raises:
        Permanent: at the start it is broken, or cannot be read.
    """

    def __init__(
        self, name: str, path: Path | None, load: Callable[[str], Value], otherwise: Value
    ) -> None:
        self._name, self._path, self._load = name, path, load
        self._stamp = _stamp(path) if path else ()
        self.value = load(content(name, path)) if path else otherwise
        """As it was last seen; replaced as a whole, so that any thread may read it."""
        self.fault = ""
        """Why the version that lies there now is not in use; empty when it is."""

    def refreshed(self) -> Value:
        """The value after a look at the file; a broken one is told, and not used."""
        if self._path and self._stamp != (stamp := _stamp(self._path)):
            self._stamp = stamp
            try:
                self.value, self.fault = self._load(content(self._name, self._path)), ""
            except Permanent as error:
                self.fault = str(error)
                _LOG.error("%s stays as it was: %s", self._name, self.fault)
        return self.value


def content(name: str, path: Path) -> str:
    """The text of a file that the variable `name` names.

    Raises:
        Permanent: it cannot be read, or is no text.
    """
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise Permanent(f"{name} {path} cannot be read: {error}") from None


def _stamp(path: Path) -> tuple[int, ...]:
    """What tells one version of the file from another."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return (found.st_mtime_ns, found.st_size, found.st_ino)
