"""The commands that `keptn` has too, in its words and flags, and those that copy a project.

They ask the live Keptn if there is one, else the embedded plane; how, is `remote`'s business.
"""

import json
import re
from base64 import b64encode
from functools import partial
from pathlib import Path
from typing import Any

import click
import yaml

from app.cli import layout, moving, remote, triggering
from app.cli.remote import CONTROL, EVENTS, PROJECTS, Remote, path
from app.cli.words import Words
from app.clock import Clock
from app.errors import Permanent
from app.events.build import timestamp
from app.events.grammar import PREFIX

_RUN = "--project --service [--labels] [--json]"
_STATES = ("abort", "pause", "resume")
BORN = "creationDate"
_NANOSECONDS = 1e9
commands = Words("keptn")
_word = partial(commands.word, asking=remote.asking)


@commands.word("auth [--endpoint] [--api-token] [--forget]")
def auth(endpoint: str, api_token: str, *, forget: bool) -> str:
    """Remember a live Keptn for these commands; without flags, try the one that they ask."""
    if forget:
        return remote.forget()
    endpoint = re.sub("^(?=.)(?!https?://)", "http://", endpoint.rstrip("/"))  # as `keptn` does
    endpoint = re.sub("^(https?://[^/]+)$", r"\1/api", endpoint)
    place = remote.Place(endpoint, api_token) if endpoint else remote.chosen()
    with remote.asking(lambda: place) as keptn:
        keptn.ask("POST", "v1/auth")
    if endpoint:
        remote.save(place)
    return f"Successfully authenticated against the Keptn cluster {place.base}"


@_word("create project NAME --shipyard [--git-remote-url] [--git-user] [--git-token]")
def create_project(
    keptn: Remote, name: str, shipyard: Path, git_remote_url: str, git_user: str, git_token: str
) -> str:
    """Create a project with the stages of its shipyard."""
    body: dict[str, Any] = {"name": name, "shipyard": b64encode(shipyard.read_bytes()).decode()}
    if git_remote_url:  # in the form of our days, and in that of Keptn before 0.18
        https = {"token": git_token, "insecureSkipTLS": False}
        nested = {"remoteURL": git_remote_url, "user": git_user, "https": https}
        body |= {"gitRemoteURL": git_remote_url, "gitUser": git_user, "gitToken": git_token}
        body["gitCredentials"] = nested
    keptn.ask("POST", PROJECTS, body)
    return "Project created successfully"


@_word("create service NAME --project")
def create_service(keptn: Remote, name: str, project: str) -> str:
    """Create a service in all stages of a project."""
    keptn.ask("POST", path(PROJECTS, project, "service"), {"serviceName": name})
    return "Service created successfully"


@_word("delete project NAME")
def delete_project(keptn: Remote, name: str) -> str:
    """Delete a project; its Git repository, and all that was deployed, stays."""
    keptn.ask("DELETE", path(PROJECTS, name))
    return "Project deleted successfully"


@_word("delete service NAME --project")
def delete_service(keptn: Remote, name: str, project: str) -> str:
    """Delete a service from all stages of a project."""
    keptn.ask("DELETE", path(PROJECTS, project, "service", name))
    return "Service deleted successfully"


@_word("add-resource --project [--stage] [--service] [--all-stages] --resource [--resourceUri]")
def add_resource(keptn: Remote, resource: Path, uri: str, *, all_stages: bool, **at: str) -> str:
    """Add a file to a project, to one or all of its stages, or to a service there."""
    stages = keptn.stages(at["project"]) if all_stages else [at["stage"]]
    if (all_stages and at["stage"]) or (at["service"] and not all(stages)):
        raise click.UsageError("name one of --stage and --all-stages")
    for stage in stages:
        level = tuple(filter(None, (at["project"], stage, at["service"])))
        keptn.write(level, uri or str(resource), resource.read_bytes())
    return "Resource has been uploaded."


@_word("get project [NAME] [--output]")
def get_project(keptn: Remote, name: str, output: str) -> str:
    """Show all projects, or the one of this NAME."""
    columns = {"NAME": "projectName", "CREATION DATE": BORN, "SHIPYARD VERSION": "shipyardVersion"}
    return _listing(keptn.views(name), columns, output, name)


@_word("get stage [NAME] --project [--output]")
def get_stage(keptn: Remote, name: str, project: str, output: str) -> str:
    """Show all stages of a project, or the one of this NAME."""
    stages = [one for view in keptn.views(project) for one in view["stages"]]
    found = [one for one in stages if name in ("", one["stageName"])]
    return _listing(found, {"NAME": "stageName", "CREATION DATE": BORN}, output, name)


@_word("get service [NAME] [--project] [--output]")
def get_service(keptn: Remote, name: str, project: str, output: str) -> str:
    """Show all services, or those of this NAME."""
    columns = {"NAME": "serviceName", "PROJECT": "project", "STAGE": "stage", "CREATION DATE": BORN}
    found = [
        {"project": view["projectName"], "stage": stage["stageName"], **one}
        for view in keptn.views(project)
        for stage in view["stages"]
        for one in stage["services"]
        if name in ("", one["serviceName"])
    ]
    return _listing(found, columns, output, name)


@_word(
    "get event [TYPE] --project [--stage] [--service] [--keptn-context]"
    " [--page-size] [--num-of-pages] [--output]"
)
def get_event(keptn: Remote, output: str, num_of_pages: int, **query: str) -> str:
    """Show the events of a type such as approval.triggered, or all, the newest first."""
    query["type"] = re.sub(r"^(?=.)(?!sh\.keptn\.)", f"{PREFIX}.", query["type"])
    query |= {"keptnContext": query.pop("keptn_context"), "pageSize": query.pop("page_size")}
    found = keptn.events(num_of_pages, **query)
    one_or_all = found[0] if len(found) == 1 else found
    return _document(one_or_all, output) if found else "No event returned"


@_word(f"trigger sequence NAME {_RUN} --stage [--data]")
def sequence(keptn: Remote, data: tuple[str, ...], *, as_json: bool, **at: Any) -> str:
    """Trigger the sequence NAME."""
    return _told(triggering.trigger(keptn, triggering.unfold(data), **at), as_json=as_json)


@_word(f"trigger delivery {_RUN} [--stage] --image [--values] [--sequence]")
def delivery(
    keptn: Remote, image: str, values: tuple[str, ...], *, as_json: bool, **at: Any
) -> str:
    """Trigger the delivery of an image, in the first stage unless --stage names another."""
    at["stage"] = at["stage"] or keptn.stages(at["project"])[0]
    wanted = {"image": image, **dict(triggering.pairs(values, "--values"))}
    context = triggering.trigger(keptn, {"configurationChange": {"values": wanted}}, **at)
    return _told(context, as_json=as_json)


@_word(f"trigger evaluation {_RUN} --stage [--timeframe] [--start] [--end]")
def evaluation(keptn: Remote, *, as_json: bool, **given: Any) -> str:
    """Trigger the evaluation of a time; without flags, of the last five minutes."""
    return _told(triggering.evaluate(keptn, Clock().now(), **given), as_json=as_json)


@_word("send event --file")
def send_event(keptn: Remote, file: Path) -> str:
    """Send the event in a file as it is."""
    return _told(keptn.started(EVENTS, layout.decoded(file.read_bytes(), str(file))))


def control(keptn: Remote, project: str, keptn_context: str, stage: str) -> str:
    """Abort, pause or resume the sequences of a Keptn context, in all stages or one."""
    (state,) = {*_STATES} & {*click.get_current_context().command_path.split()}
    body = {"state": state, "stage": stage}
    keptn.ask("POST", path(f"{CONTROL}/sequence", project, keptn_context, "control"), body)
    return f"Asked to {state} {keptn_context}"


for _state in _STATES:
    for _words in (f"sequence {_state}", f"{_state} sequence"):
        _word(f"{_words} --project --keptn-context [--stage]")(control)


@commands.word("import PROJECT [FOLDER] [--force]", partial(remote.asking, remote.live))
@commands.word("export PROJECT [FOLDER] [--force]", partial(remote.asking, remote.embedded))
def copy(keptn: Remote, project: str, folder: str, *, force: bool) -> str:
    """Copy a project into a folder: `import` from the live Keptn, `export` from the plane here."""
    found, home = moving.read(keptn, project), folder or project
    said = moving.write(found, Path(home), force=force)
    return f"{said}\nto serve it: firstmate serve {home} --project {project}"


def _told(context: str, *, as_json: bool = False) -> str:
    """The context of a new run, for people or for scripts."""
    return json.dumps({"keptnContext": context}) if as_json else f"ID of Keptn context: {context}"


def _listing(found: list[dict[str, Any]], columns: dict[str, str], output: str, name: str) -> str:
    """A table with these columns, each by its heading; with an `output`, all documents instead.

    Raises:
        Permanent: there is nothing to show.
    """
    if not found:
        raise Permanent(f"there is no {columns['NAME'].removesuffix('Name')} {name}".rstrip())
    if output:
        return "\n".join(_document(one, output) for one in found)
    rows = [[*columns], *([_cell(one, key) for key in columns.values()] for one in found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _document(one: Any, output: str) -> str:
    """One document as YAML or JSON."""
    return yaml.safe_dump(one, sort_keys=False) if output == "yaml" else json.dumps(one, indent=3)


def _cell(one: dict[str, Any], key: str) -> str:
    told = str(one.get(key) or "n/a")  # Keptn tells times in nanoseconds
    return timestamp(int(told) / _NANOSECONDS) if key == BORN and told.isdecimal() else told
