"""Writes docs/settings.md from app/settings.py: `make docs`; a test fails when the two differ."""

import sys
from typing import Any

from pydantic import SecretStr

from app.settings import Settings

HEAD = """# Settings

Made by `make docs` from `app/settings.py`; do not edit. Every setting is an environment variable,
read once at the start.

| variable | default | meaning |
|---|---|---|
"""


def shown(default: Any) -> str:
    """A default as a reader would write it."""
    value = default.get_secret_value() if isinstance(default, SecretStr) else default
    return f"`{value}`" if value not in ("", None) else "empty"


def page() -> str:
    """The whole page."""
    rows = []
    for name, field in Settings.model_fields.items():
        meaning = " ".join((field.description or "").split())
        rows.append(f"| `{name.upper()}` | {shown(field.default)} | {meaning} |")
    return HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
