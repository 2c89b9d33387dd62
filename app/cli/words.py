"""Commands declared by their usage lines, as `keptn` shows them; what they do is elsewhere.

A usage line has words, ARGUMENTS and --options, in [brackets] if they may be left out.
"""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import click

Command = Callable[..., str]
_FILE: dict[str, Any] = {"type": click.Path(path_type=Path, dir_okay=False, exists=True)}
_FLAG: dict[str, Any] = {"is_flag": True, "default": False}
_MANY: dict[str, Any] = {"multiple": True, "default": ()}

OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "--project": ("-p", {"help": "Keptn project."}),
    "--stage": ("-s", {"help": "Keptn stage."}),
    "--service": ("", {"help": "Keptn service."}),
    "--keptn-context": ("-c", {"help": "Keptn context of the run."}),
    "--labels": ("-l", {"help": "Labels, such as build=7,team=red."}),
    "--data": ("", {"help": "Input of the sequence, such as action.value=5.", **_MANY}),
    "--image": ("", {"help": "Image to deliver, with its tag."}),
    "--values": ("", {"help": "More values, such as replicas=2.", **_MANY}),
    "--sequence": ("", {"help": "Name of the sequence.", "default": "delivery"}),
    "--timeframe": ("", {"help": "Length of the time to be looked at, such as 5m."}),
    "--start": ("", {"help": "Its begin in UTC, such as 2026-01-31T11:59:59."}),
    "--end": ("", {"help": "Its end, in place of its length."}),
    "--json": ("as_json", {"help": "Print JSON for scripts.", **_FLAG}),
    "--output": ("-o", {"help": "json or yaml.", "type": click.Choice(["json", "yaml"])}),
    "--page-size": ("", {"help": "Events in a page.", "default": "100"}),
    "--num-of-pages": ("", {"help": "Pages at most.", "default": 100}),
    "--file": ("-f", {"help": "The CloudEvent, as JSON.", **_FILE}),
    "--shipyard": ("-s", {"help": "The shipyard file.", **_FILE}),
    "--resource": ("-r", {"help": "The file to add.", **_FILE}),
    "--resourceUri": ("uri", {"help": "Its name there; default: the one it has here."}),
    "--all-stages": ("", {"help": "To all stages.", **_FLAG}),
    "--git-remote-url": ("-r", {"help": "Git repository that a live Keptn keeps it in."}),
    "--git-user": ("-u", {"help": "User of that repository."}),
    "--git-token": ("-t", {"help": "Its token.", "envvar": "GIT_TOKEN"}),
    "--endpoint": ("-e", {"help": "Keptn's API: https://HOST/api."}),
    "--api-token": ("-a", {"help": "Its token.", "envvar": "KEPTN_API_TOKEN"}),
    "--forget": ("", {"help": "Speak to the embedded plane again.", **_FLAG}),
    "--force": ("", {"help": "Overwrite files that are there.", **_FLAG}),
    "--keptn": ("to_live", {"help": "To the live Keptn, in place of a folder.", **_FLAG}),
}
"""Every option: its short form or its name in Python, and what click is told of it."""


class Words(click.Group):
    """A group whose commands also answer to their plural, as `get projects`."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Find `project` for `projects`."""
        return super().get_command(ctx, cmd_name.removesuffix("s"))

    def word(
        self, usage: str, asking: Callable[[], AbstractContextManager[Any]]
    ) -> Callable[[Command], Command]:
        """Make a function a command of this group; it is given what `asking` yields."""
        *groups, name = re.findall(r"(?<!\S)[a-z][a-z-]*", usage)

        def declare(command: Command) -> Command:
            def call(**given: Any) -> None:
                with asking() as keptn:
                    click.echo(command(keptn, **given))

            group: click.Group = self
            for one in groups:
                made = Words(one, help=f"What to {one}.")
                group = group.commands.setdefault(one, made)
            params = [_parameter(part) for part in re.findall(r"\[?[A-Z-][\w-]*\]?", usage)]
            group.add_command(click.Command(name, None, call, params, command.__doc__))
            return command

        return declare


def _parameter(part: str) -> click.Parameter:
    name = part.strip("[]")
    needed: dict[str, Any] = {"required": True} if name == part else {"default": ""}
    if name.isupper():
        return click.Argument([name.lower()], **needed)
    short, how = OPTIONS[name]
    return click.Option([*short.split(), name], **needed | how)
