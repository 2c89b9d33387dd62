"""The `firstmate` command; words and flags are those of the `keptn` command where it has them.

Exit codes: 0 done, 1 it failed or was not found, 2 wrong usage, 130 interrupted. Each command's
module is imported only when it runs, so that reading the ledger starts fast.
"""

import gc
import sqlite3
from collections.abc import Mapping
from importlib import import_module
from itertools import chain
from typing import Any

import click

from app.errors import FirstmateError

HOMES = {
    "serving": ("serve", "notify"),
    "reading": ("runs", "logs", "why"),
    "checking": ("check", "schema"),
    "trying": ("run",),
}
"""The modules of the commands that `keptn` has not; all others are the captain's."""


class Commands(click.Group):
    """Commands whose errors are lines for people, not tracebacks."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error is one line on standard error, and exit code 1."""
        try:
            return super().invoke(ctx)
        except (FirstmateError, OSError, sqlite3.Error) as error:
            if isinstance(error, BrokenPipeError):  # click ends in silence when nobody reads on
                raise
            what = "a database in DATA_DIR cannot be used: " * isinstance(error, sqlite3.Error)
            click.echo(f"firstmate: {what}{error}", err=True)
            ctx.exit(1)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's way
        """Ours and the captain's."""
        return sorted([*chain(*HOMES.values()), *_commands("captain")])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's way
        """One of ours, else one of the captain's."""
        home = next((home for home, names in HOMES.items() if cmd_name in names), "captain")
        return _commands(home).get(cmd_name)


def _commands(module: str) -> Mapping[str, click.Command]:
    gc.disable()  # nothing that is imported is garbage, and looking for some takes its time
    found: Mapping[str, click.Command] = import_module(f"app.cli.{module}").commands.commands
    gc.freeze()
    gc.enable()
    return found


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="keptn-firstmate", prog_name="firstmate")
def main() -> None:
    """Do the work that Keptn orders, or take command where there is no Keptn.

    Settings are environment variables (docs/settings.md); DATA_DIR names the folder of all state.
    """
