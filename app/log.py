"""The service's own log: one line a fact, with the ids of the run it is about bound to it.

No secret and no event body is ever handed to it; it decides nothing.
"""

import contextvars
import json
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

_bound: contextvars.ContextVar[Mapping[str, Any]] = contextvars.ContextVar(
    "bound", default=MappingProxyType({})
)
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}

# A name in an event may hold anything; it must not forge a line or steer a terminal.
_VISIBLE = {code: repr(chr(code))[1:-1] for code in (*range(32), *range(127, 160))}


@contextmanager
def bound(**fields: Any) -> Iterator[None]:
    """Put these fields on every line that is logged inside."""
    token = _bound.set({**_bound.get(), **fields})
    try:
        yield
    finally:
        _bound.reset(token)


def configure(form: str, level: str) -> None:
    """Log to standard error in this form; httpx keeps silent, for its URLs may hold secrets."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for name in ("httpx", "httpcore", "uvicorn"):
        logging.getLogger(name).setLevel(logging.WARNING)


def fields(record: logging.LogRecord) -> dict[str, Any]:
    """What a line says beside its text."""
    extra = {key: value for key, value in vars(record).items() if key not in _STANDARD}
    return {**_bound.get(), **extra}


class JsonFormatter(logging.Formatter):
    """A JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line = {"time": self.formatTime(record), "level": record.levelname.lower()}
        line |= {"logger": record.name, "message": record.getMessage(), **fields(record)}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class TextFormatter(logging.Formatter):
    """Time, level, text, and the fields as key=value."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and the traceback where there is one."""
        extra = " ".join(f"{key}={value}" for key, value in fields(record).items())
        head = f"{self.formatTime(record)} {record.levelname.lower():7} {record.getMessage()}"
        text = f"{head}  {extra}".rstrip().translate(_VISIBLE)
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text
