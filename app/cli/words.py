"""Commands declared by their usage lines, as `keptn` shows them; what they do is elsewhere.

A line has words, ARGUMENTS and --options, in [brackets] if they may be left out.
"""

import re
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar, cast

import click

Command = TypeVar("Command", bound=Callable[..., str | Iterable[str] | None])
"""What a command does; it gives back what is to be printed."""

_PATH = click.Path(path_type=Path)
_FILE = {"type": click.Path(path_type=Path, dir_okay=False, exists=True)}
_FLAG = {"is_flag": True, "default": False}
_MANY = {"multiple": True, "default": ()}
_ARGUMENTS: dict[str, dict[str, Any]] = {
    "FILES": {"type": _PATH, "nargs": -1, "default": None},
    "KIND": {"type": click.Choice(["jobconfig", "routes", "policy"]), "default": "jobconfig"},
}
"""The arguments that are more than one text."""

_OPTIONS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("--project -p", "Keptn project.", {}),
    ("--stage -s", "Keptn stage.", {}),
    ("--service", "Keptn service.", {}),
    ("--labels -l", "Labels, such as build=7,team=red.", _MANY),
    ("--keptn-context -c", "Keptn context of the run.", {}),
    ("--data", "Input of the sequence, such as action.value=5.", _MANY),
    ("--image", "Image to deliver, with its tag.", {}),
    ("--values", "More values, such as replicas=2.", _MANY),
    ("--sequence name", "Name of the sequence; default: delivery.", {"default": "delivery"}),
    ("--timeframe", "Length of the time to be looked at, such as 5m.", {}),
    ("--start", "Its begin in UTC, such as 2026-01-31T11:59:59.", {}),
    ("--end", "Its end, in place of its length.", {}),
    ("--page-size", "Events in a page.", {"default": "100"}),
    ("--num-of-pages", "Pages at most; 0 for all.", {"default": 100}),
    ("--output -o", "json or yaml.", {"type": click.Choice(["", "json", "yaml"])}),
    ("--json as_json", "Print JSON for scripts.", _FLAG),
    ("--file -f", "The event, as JSON.", _FILE),
    ("--shipyard -s", "The shipyard file.", _FILE),
    ("--resource -r", "The file to add.", _FILE),
    ("--resourceUri uri", "Its name there; default: the one it has here.", {}),
    ("--all-stages", "To all stages.", _FLAG),
    ("--git-remote-url -r", "Git repository of the new project.", {}),
    ("--git-user -u", "User of that repository.", {}),
    ("--git-token -t", "Its token; better in GIT_TOKEN.", {"envvar": "GIT_TOKEN"}),
    ("--endpoint -e", "Keptn's API: https://HOST/api.", {}),
    ("--api-token -a", "Its token; better in KEPTN_API_TOKEN.", {"envvar": "KEPTN_API_TOKEN"}),
    ("--forget", "Ask the embedded plane again.", _FLAG),
    ("--force", "Write into a folder that is not empty.", _FLAG),
    ("--ignored", "Also events that needed no answer.", _FLAG),
    ("--follow -f", "Go on printing what comes.", _FLAG),
    ("--cluster", "Check the cluster and the Keptn of the service.", _FLAG),
    ("--strict", "Warnings count as errors.", _FLAG),
    ("--config -f", "The job config.", {"type": _PATH, "default": "jobconfig.yaml"}),
    ("--event", "The event, as JSON; - for standard input.", {"type": click.File("rb")}),
)
"""Every option: its names, also that in Python where it is another one; what it says; its kind."""


class Words(click.Group):
    """A group whose commands also answer to their plural, as `get projects`."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Find `project` for `projects`."""
        return super().get_command(ctx, cmd_name.removesuffix("s"))

    def get_short_help_str(self, limit: int = 45) -> str:  # noqa: ARG002 - click's way
        """What may follow."""
        return ", ".join(self.commands)

    def word(
        self, usage: str, asking: Callable[[], AbstractContextManager[Any]] | None = None
    ) -> Callable[[Command], Command]:
        """Make a function a command of this group; it is given what `asking` yields."""
        *groups, name = (part for part in usage.split() if re.match("[a-z]", part))
        params = [_parameter(part) for part in usage.split() if not re.match("[a-z]", part)]

        def declare(command: Command) -> Command:
            def call(**given: Any) -> None:
                if asking is None:
                    return _print(command(**given))
                with asking() as keptn:
                    return _print(command(keptn, **given))

            group: click.Group = self
            for one in groups:
                group = cast("click.Group", group.commands.setdefault(one, Words(one)))
            group.add_command(click.Command(name, None, call, params, command.__doc__))
            return command

        return declare


def _print(told: str | Iterable[str] | None) -> None:
    for text in [told] if isinstance(told, str) else told or ():
        click.echo(text)


def _parameter(part: str) -> click.Parameter:
    name = part.strip("[]")
    needed: dict[str, Any] = {"required": True} if name == part else {"default": ""}
    if name.isupper():
        return click.Argument([name.lower()], **needed | _ARGUMENTS.get(name, {}))
    names, says, more = next(row for row in _OPTIONS if row[0].split()[0] == name)
    return click.Option(names.split(), help=says, **needed | more)
