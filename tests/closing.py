"""What ends with the block that it was made for."""

from contextlib import AbstractContextManager
from typing import Self


class Closing(AbstractContextManager["Closing"]):
    """A value that is closed at the end of its `with`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of everything."""
        raise NotImplementedError
