"""How the plane says no: an HTTP code and one line, as every Keptn API does. Decides nothing."""

from collections.abc import Sequence
from typing import Any

from app.errors import Permanent


class Refused(Permanent):
    """A request that is answered with `{"code": ..., "message": ...}`."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def first(errors: Sequence[Any]) -> str:
    """The first of pydantic's errors as one line: the place, and what is wrong there."""
    return f"{'.'.join(map(str, errors[0]['loc']))}: {errors[0]['msg']}"
