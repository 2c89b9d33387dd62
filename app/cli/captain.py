"""The commands that `keptn` has too, in its words and flags, and those that copy a project.

They ask the live Keptn if there is one, else the embedded plane; how, is `remote`'s business.
"""

import json
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import click

from app.cli import layout, moving, remote, triggering
from app.cli.remote import Level, Remote, control
from app.cli.showing import created, document, listing
from app.cli.words import Words
from app.errors import Permanent

commands = Words("keptn")
_word = partial(commands.word, asking=remote.asking)
_GIT = "[--git-remote-url] [--git-user] [--git-token]"
_AT = "--project --stage --service [--labels] [--json]"


@commands.word("auth [--endpoint] [--api-token] [--forget]", nullcontext)
def auth(_: None, endpoint: str, api_token: str, *, forget: bool) -> str:
    """Remember a live Keptn for these commands; without flags, try the one that they ask."""
    if forget:
        return remote.forget()
    asked = remote.chosen()
    if endpoint:
        asked = remote.named(endpoint, api_token or click.prompt("API token", hide_input=True))
    with remote.asking(lambda: asked) as keptn:
        keptn.ask("POST", "v1/auth")
    if endpoint:
        remote.save(asked)
    return f"Successfully authenticated against the Keptn cluster {asked.base}"


@_word(f"create project NAME --shipyard {_GIT}")
def create_project(keptn: Remote, name: str, shipyard: Path, **git: str) -> str:
    """Create a project with the stages of its shipyard."""
    keptn.create_project(name, shipyard.read_bytes(), **git)
    return "Project created successfully"


@_word("create service NAME --project")
def create_service(keptn: Remote, name: str, project: str) -> str:
    """Create a service in all stages of a project."""
    keptn.ask("POST", control("project", project, "service"), {"serviceName": name})
    return "Service created successfully"


@_word("delete project NAME")
def delete_project(keptn: Remote, name: str) -> str:
    """Delete a project; its Git repository, and all that was deployed, stays."""
    said = keptn.ask("DELETE", control("project", name)).get("message", "")
    return f"Project deleted successfully\n{said}".rstrip()


@_word("delete service NAME --project")
def delete_service(keptn: Remote, name: str, project: str) -> str:
    """Delete a service from all stages of a project."""
    said = keptn.ask("DELETE", control("project", project, "service", name)).get("message", "")
    return f"Service deleted successfully\n{said}".rstrip()


@_word("add-resource --project [--stage] [--service] [--all-stages] --resource [--resourceUri]")
def add_resource(keptn: Remote, resource: Path, uri: str, *, all_stages: bool, **at: str) -> str:
    """Add a file to a project, to one or all of its stages, or to a service there."""
    level = Level(**at)
    if bool(level.stage) == all_stages and (level.stage or level.service):
        raise click.UsageError("name one of --stage and --all-stages")
    stages = keptn.stages(level.project) if all_stages else [level.stage]
    for stage in stages:
        keptn.write(level._replace(stage=stage), {uri or str(resource): resource.read_bytes()})
    return "Resource has been uploaded."


@_word("get project [NAME] [--output]")
def get_project(keptn: Remote, name: str, output: str) -> str:
    """Show all projects, or the one of this NAME."""
    heading = ("NAME", "CREATION DATE", "SHIPYARD VERSION")
    shown = [
        ((one["projectName"], created(one), one.get("shipyardVersion", "")), one)
        for one in keptn.projects(name)
    ]
    return listing("project", heading, shown, output)


@_word("get stage [NAME] --project [--output]")
def get_stage(keptn: Remote, name: str, project: str, output: str) -> str:
    """Show all stages of a project, or the one of this NAME."""
    views = (stage for view in keptn.projects(project) for stage in view["stages"])
    shown = [((one["stageName"], "n/a"), one) for one in views if name in ("", one["stageName"])]
    return listing("stage", ("NAME", "CREATION DATE"), shown, output)


@_word("get service [NAME] [--project] [--output]")
def get_service(keptn: Remote, name: str, project: str, output: str) -> str:
    """Show all services, or those of this NAME."""
    shown = [
        ((one["serviceName"], view["projectName"], stage["stageName"], created(one)), one)
        for view in keptn.projects(project)
        for stage in view["stages"]
        for one in stage["services"]
        if name in ("", one["serviceName"])
    ]
    return listing("service", ("NAME", "PROJECT", "STAGE", "CREATION DATE"), shown, output)


@_word(
    "get event [TYPE] --project [--stage] [--service] [--keptn-context]"
    " [--page-size] [--num-of-pages] [--output]"
)
def get_event(keptn: Remote, num_of_pages: int, output: str, **query: str) -> str:
    """Show the events of a type, or all, the newest first."""
    found = keptn.events(num_of_pages, **query)
    if not found:
        return "No event returned"
    return document(found if len(found) > 1 else found[0], output)


@_word(f"trigger sequence NAME {_AT} [--data]")
def sequence(keptn: Remote, data: tuple[str, ...], *, as_json: bool, **at: str) -> str:
    """Trigger the sequence NAME."""
    return _told(triggering.trigger(keptn, triggering.unfold(data), **at), as_json=as_json)


@_word(f"trigger delivery --image [--values] [--sequence] {_AT.replace('--stage', '[--stage]')}")
def delivery(
    keptn: Remote, image: str, values: tuple[str, ...], *, as_json: bool, **at: str
) -> str:
    """Trigger the delivery of an image, in the first stage unless --stage names another."""
    wanted = {"image": image, **dict(triggering.pairs(values, "--values"))}
    at |= {"name": at.pop("sequence"), "stage": at["stage"] or keptn.stages(at["project"])[0]}
    context = triggering.trigger(keptn, {"configurationChange": {"values": wanted}}, **at)
    return _told(context, as_json=as_json)


@_word(f"trigger evaluation {_AT} [--timeframe] [--start] [--end]")
def evaluation(keptn: Remote, *, as_json: bool, **given: str) -> str:
    """Trigger the evaluation of a time, without flags of the last five minutes."""
    return _told(triggering.evaluate(keptn, **given), as_json=as_json)


@_word("send event --file")
def send_event(keptn: Remote, file: Path) -> str:
    """Send the event in a file as it is."""
    try:
        event = json.loads(layout.text(file))
    except ValueError as error:
        raise Permanent(f"{file} is not JSON: {error}") from None
    return _told(keptn.started("v1/event", event))


def _control(state: str) -> None:
    """Declare `sequence abort`, which `keptn` calls `abort sequence`."""

    def command(keptn: Remote, project: str, keptn_context: str, stage: str) -> str:
        body = {"state": state, "stage": stage}
        keptn.ask("POST", control("sequence", project, keptn_context, "control"), body)
        return f"Told to {state}: {keptn_context}"

    command.__doc__ = f"{state.capitalize()} the sequences of a Keptn context."
    for words in (f"sequence {state}", f"{state} sequence"):
        _word(f"{words} --project --keptn-context [--stage]")(command)


for _state in ("abort", "pause", "resume"):
    _control(_state)


@commands.word("import PROJECT [FOLDER] [--force]", partial(remote.asking, remote.live))
def import_project(keptn: Remote, project: str, folder: str, *, force: bool) -> str:
    """Copy PROJECT out of the live Keptn into FOLDER, or ./PROJECT, for `firstmate serve`."""
    home = folder or project
    said = moving.to_folder(moving.read(keptn, project), Path(home), force=force)
    return f"{said}\nnext: firstmate serve {home} --project {project}"


@commands.word(
    f"export PROJECT [FOLDER] [--force] [--keptn] {_GIT}", partial(remote.asking, remote.embedded)
)
def export_project(
    keptn: Remote, project: str, folder: str, *, force: bool, to_live: bool, **git: str
) -> str:
    """Copy PROJECT out of the embedded plane into FOLDER, or ./PROJECT, or to the live Keptn."""
    found = moving.read(keptn, project)
    if not to_live:
        return moving.to_folder(found, Path(folder or project), force=force)
    with remote.asking(remote.live) as target:
        return moving.to_keptn(found, target, **git)


def _told(context: str, *, as_json: bool = False) -> str:
    """The context of a new run, for people or for scripts."""
    return json.dumps({"keptnContext": context}) if as_json else f"ID of Keptn context: {context}"
