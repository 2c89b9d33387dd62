"""Arguments and options as `keptn` has them, and how a function becomes a command with them.

What the commands do is elsewhere.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, cast

import click

Command = Callable[..., str]
FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


class Words(click.Group):
    """A group whose commands also answer to their plural, as `get projects`."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Find `project` for `projects`."""
        return super().get_command(ctx, cmd_name.removesuffix("s"))

    def word(
        self,
        words: str,
        *params: click.Parameter,
        asking: Callable[[], AbstractContextManager[Any]],
    ) -> Callable[[Command], Command]:
        """Make a function a command, in groups of that name; it is given what `asking` yields."""
        *groups, name = words.split()

        def declare(command: Command) -> Command:
            def call(**given: Any) -> None:
                with asking() as keptn:
                    click.echo(command(keptn, **given))

            group: click.Group = self
            for one in groups:
                made = Words(one, help=f"What to {one}.")
                group = cast("click.Group", group.commands.setdefault(one, made))
            group.add_command(click.Command(name, None, call, list(params), command.__doc__))
            return command

        return declare


def needed(names: str, says: str, **more: Any) -> click.Option:
    """An option that must be given."""
    return click.Option(names.split(), required=True, help=says, **more)


def maybe(names: str, says: str, **more: Any) -> click.Option:
    """An option that may be left out."""
    return click.Option(names.split(), help=says, **{"default": "", **more})


def many(names: str, says: str) -> click.Option:
    """An option that may be given again and again."""
    return click.Option(names.split(), help=says, multiple=True)


def flag(names: str, says: str) -> click.Option:
    """An option without a value."""
    return click.Option(names.split(), is_flag=True, help=says)


NAME = click.Argument(["name"])
SOME_NAME = click.Argument(["name"], default="")
PROJECT = needed("-p --project", "Keptn project.")
STAGE = needed("-s --stage", "Keptn stage.")
SOME_STAGE = maybe("-s --stage", "Keptn stage.")
SOME_SERVICE = maybe("--service", "Keptn service.")
CONTEXT = needed("-c --keptn-context", "Keptn context of the run.")
OUTPUT = maybe("-o --output", "Print JSON or YAML.", type=click.Choice(["", "json", "yaml"]))
RUN = (
    PROJECT,
    needed("--service", "Keptn service."),
    maybe("-l --labels", "Labels, such as build=7,team=red."),
    flag("--json as_json", "Print JSON for scripts."),
)
COPIED = (
    click.Argument(["project"]),
    click.Argument(["folder"], default=""),
    flag("--force", "Write into a folder that is not empty."),
)
GIT = (
    maybe("-r --git-remote-url", "Git repository of the new project."),
    maybe("-u --git-user", "Its user."),
    maybe("-t --git-token", "Its token.", envvar="GIT_TOKEN"),
)
