"""Keptn's own routes: the gateway under /api with its token, the sidecar at the root without one.

Every one goes the same way: token, answer, fault; what the answers mean is decided in other files.
"""

import asyncio
import json
import re
import string
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import quote, quote_plus, unquote

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from tests.strict import lookups, projects, validation
from tests.strict.controlplane import Keptn
from tests.strict.faults import Answer, Exchange, error
from tests.strict.resources import NO_ROUTE
from tests.strict.validation import Event, Refused

Handler = Callable[[Keptn, Request, bytes], Answer]
Row = tuple[str, str, str, Handler]
Read = Callable[[Keptn, Request], Any]
_UNTOUCHED = "".join(set(string.punctuation) - {*"%?#"})


class Guard:
    """§3: the token; failed attempts have a bucket of two, filled by one a second, then 429."""

    def __init__(self, token: str) -> None:
        self._token, self._left, self._at = token, 2.0, 0.0

    def refusal(self, request: Request) -> Response | None:
        """The answer to a stranger."""
        now = asyncio.get_running_loop().time()
        self._left, self._at = min(2.0, self._left + now - self._at), now
        if request.headers.get("x-token") == self._token:
            self._left = 2.0
            return None
        if self._left < 1:
            return error(429, "too many failed attempts")
        self._left -= 1
        return error(401, "unauthorized")


def routes(keptn: Keptn) -> list[BaseRoute]:
    """Both faces of Keptn; what the sidecar does not know is a 500 (§1.4)."""
    guard = Guard(keptn.options.token)
    proxied: list[Row] = [(name, "GET", path, partial(_read, read)) for name, path, read in READS]
    proxied.append(("log", "POST", "/controlPlane/v1/log", take_log))
    for method, below in UNIFORM:
        proxied.append(("uniform", method, _REGISTRATION + below, uniform))
    proxied.append(
        ("control", "POST", "/controlPlane/v1/sequence/{project}/{context}/control", steer)
    )
    proxied += projects.ROWS
    inside: list[Row] = [
        ("event", "POST", "/v1/event", through_gateway),
        ("metadata", "GET", "/v1/metadata", partial(_read, metadata)),
        ("auth", "POST", "/v1/auth", partial(_read, lambda *_: {})),
        *proxied,
    ]
    outside: list[Row] = [("event", "POST", "/event", through_sidecar), *proxied]
    return [
        Mount("/api", routes=[_route(keptn, guard, *row) for row in inside]),
        Route("/health", lambda _: JSONResponse({"status": "OK"})),
        *(_route(keptn, None, *row) for row in outside),
        Route("/{rest:path}", lambda _: Response(status_code=500)),
    ]


def _route(
    keptn: Keptn, guard: Guard | None, name: str, method: str, path: str, handler: Handler
) -> Route:
    async def endpoint(request: Request) -> Response:
        keptn.requests[name] += 1
        body = await request.body()
        if guard and (refusal := guard.refusal(request)):
            return refusal
        if method == "GET":
            query = dict(request.query_params)
            keptn.lookups.append({"route": name, "path": _raw(request), "query": query})
        if _is_missing(keptn, path, through_gateway=guard is not None):
            return _no_such_path(path, through_gateway=guard is not None)
        try:
            answer = handler(keptn, request, body)
        except Refused as refused:
            answer = Answer(_refusal(refused))
        rule = keptn.faults.rule_for(_exchange(name, routed(keptn, request), request, body))
        reply = await keptn.faults.settle(rule, answer)
        if reply is None:
            request.state.wire.transport.close()
        return reply or Response()

    return Route(path, endpoint, methods=[method])


def through_gateway(keptn: Keptn, request: Request, body: bytes) -> Answer:
    """POST of an event to the API."""
    promise = _judged(keptn, request, body)
    _require_json(request)
    event = validation.gateway_event(body, strict=keptn.is_strict)
    context = {"keptnContext": event["shkeptncontext"]}
    return Answer(JSONResponse(context), partial(keptn.publish, event), promise)


def through_sidecar(keptn: Keptn, request: Request, body: bytes) -> Answer:
    """POST of an event to the sidecar; §1.4: its 200 may keep nothing, its 500 says nothing."""
    promise = _judged(keptn, request, body)
    try:
        event = _by_sidecar(keptn, body)
    except Refused:
        return Answer(Response(status_code=500))
    to_log = event["type"] == "sh.keptn.log.error"  # §1.4: goes to the log API alone
    publish = keptn.logs.append if to_log else keptn.publish
    return Answer(Response(), partial(publish, event), promise)


def _judged(keptn: Keptn, request: Request, body: bytes) -> Callable[[], None]:
    """Have the event judged before it may be refused; returns what a promise to take it means."""
    event = _loosely(body)
    binary = any(name.startswith("ce-") for name in request.headers)
    task = keptn.judge(event, len(body), binary=binary)

    def promise() -> None:
        if task and _kind(event) == "started":
            task.start_promised = True

    return promise


def _require_json(request: Request) -> None:
    """§3.1: the API takes two content types."""
    kind = request.headers.get("content-type", "application/octet-stream").partition(";")[0]
    if kind not in ("application/json", "application/cloudevents+json"):
        raise Refused(415, f'unsupported media type "{kind}"')


def _by_sidecar(keptn: Keptn, body: bytes) -> Event:
    """§1.4: in the cluster the event goes to NATS as it is, on a remote plane through the API."""
    event = validation.sidecar_event(body)
    if not keptn.options.remote:
        return event
    try:
        return validation.gateway_event(body, strict=keptn.is_strict)
    except Refused as refused:
        raise Refused(500, refused.message) from None


def take_log(keptn: Keptn, request: Request, body: bytes) -> Answer:
    """POST of lines for the Uniform log."""
    lines = _loosely(body).get("logs")
    if not isinstance(lines, list):
        raise Refused(400, "invalid request format")
    keptn.logs.extend(lines)
    return Answer(JSONResponse({}))


def uniform(keptn: Keptn, request: Request, body: bytes) -> Answer:
    """Registrations and their subscriptions."""
    path = _raw(request).partition(_REGISTRATION)[2].split("/")[1:]
    status, said = keptn.uniform.answer(request.method, path, _loosely(body), request.query_params)
    return Answer(JSONResponse(said, status))


def steer(keptn: Keptn, request: Request, body: bytes) -> Answer:
    """§2.4: abort, pause or resume a run; 200 even if nothing matched."""
    order, where = _loosely(body), request.path_params
    if order.get("state") not in ("abort", "pause", "resume"):
        raise Refused(400, "invalid state")
    keptn.controller.steer(
        where["project"], where["context"], order["state"], order.get("stage", "")
    )
    return Answer(JSONResponse({}))


def open_events(keptn: Keptn, request: Request) -> dict[str, Any]:
    """The open events of a type; an unknown project is a 404."""
    project = request.query_params.get("project")
    if project and (project,) not in keptn.resources.known:
        raise Refused(404, f"Project {project} not found")
    wanted = request.path_params["type"]
    return lookups.open_events(keptn.controller, wanted, request.query_params)


def sequence_states(keptn: Keptn, request: Request) -> dict[str, Any]:
    """The states of a project's sequences."""
    project = request.path_params["project"]
    return lookups.states(keptn.controller, project, request.query_params)


def resource(keptn: Keptn, request: Request) -> dict[str, Any]:
    """A file, or a list; §3.3: with a commit, a project's file is read from a stage's branch."""
    path = routed(keptn, request).partition("-service/v1")[2]
    commit = request.query_params.get("gitCommitID", "")
    if commit and "/stage/" not in path:
        keptn.object_to("commit_on_project_level", {}, path)
    return keptn.resources.answer(path, request.query_params)


def metadata(keptn: Keptn, request: Request) -> dict[str, Any]:
    """Versions, as Keptn tells them."""
    version = keptn.version
    versions = {"keptnversion": version, "shipyardversion": "0.2.0", "bridgeversion": version}
    return versions | {"namespace": "keptn", "keptnlabel": "keptn", "automaticprovisioning": False}


def _is_missing(keptn: Keptn, path: str, *, through_gateway: bool) -> bool:
    """§9: what this version does not have."""
    newer = keptn.release >= (0, 18)
    if path.startswith("/configuration-service"):
        return keptn.release >= (0, 19) or (newer and not through_gateway)
    return path.startswith(("/resource-service", _EXECUTIONS)) and not newer


def _no_such_path(path: str, *, through_gateway: bool) -> Response:
    """In words that are not Keptn's: the controller's router's, the API's, and no word at all."""
    if path == _EXECUTIONS:
        return PlainTextResponse(NO_ROUTE, 404)
    if through_gateway:  # whatever it knows nothing of, nginx hands to the API
        return error(404, f"path {path} was not found")
    return Response(status_code=500)


def _refusal(refused: Refused) -> Response:
    """What gin has no route for, it says in plain text."""
    if refused.message == NO_ROUTE:
        return PlainTextResponse(NO_ROUTE, 404)
    return error(refused.status, refused.message)


_EXECUTIONS = "/controlPlane/v1/sequence-execution"
_REGISTRATION = "/controlPlane/v1/uniform/registration"
_SUBSCRIPTIONS = ("/{id}/subscription", "/{id}/subscription/{subscription}")
UNIFORM = [("GET", ""), ("POST", ""), ("DELETE", "/{id}"), ("PUT", "/{id}/ping")]
UNIFORM += [("GET", _SUBSCRIPTIONS[0]), ("POST", _SUBSCRIPTIONS[0])]
UNIFORM += [("PUT", _SUBSCRIPTIONS[1]), ("DELETE", _SUBSCRIPTIONS[1])]
READS: list[tuple[str, str, Read]] = [
    ("triggered", "/controlPlane/v1/event/triggered/{type}", open_events),
    (
        "execution",
        _EXECUTIONS,
        lambda keptn, request: lookups.executions(keptn.controller, request.query_params),
    ),
    ("sequence", "/controlPlane/v1/sequence/{project}", sequence_states),
    ("project", "/controlPlane/v1/project", projects.views),
    (
        "datastore",
        "/mongodb-datastore/event",
        lambda keptn, request: keptn.store.answer(request.query_params),
    ),
    ("resource", "/resource-service/v1/project/{project}/{rest:path}", resource),
    ("resource", "/configuration-service/v1/project/{project}/{rest:path}", resource),
]


def _read(read: Read, keptn: Keptn, request: Request, body: bytes) -> Answer:
    return Answer(JSONResponse(read(keptn, request)))


def _exchange(name: str, path: str, request: Request, body: bytes) -> Exchange:
    event = _loosely(body)
    named = {**request.query_params, **request.path_params}
    data = event.get("data")
    project = (data if isinstance(data, dict) else named).get("project")
    return Exchange(name, _kind(event), str(project or ""), path)


def _kind(event: Event) -> str:
    return str(event.get("type")).rpartition(".")[2]


def routed(keptn: Keptn, request: Request) -> str:
    """§3.3: the path as the router of resource-service sees it, escaped or not.

    The gateway's nginx decodes a path, merges slashes, and escapes anew what it must; Go keeps the
    escaped form only if it is not the one that it would have written itself.
    """
    raw = _raw(request)
    if keptn.options.remote and (parts := raw.rpartition("/resource/"))[0]:
        raw = f"/api{parts[0]}/resource/{quote_plus(_as_go(parts[2]))}"
    if raw.startswith("/api/"):
        raw = quote(re.sub("/+", "/", unquote(raw)), safe=_UNTOUCHED)
    return _as_go(raw)


def _as_go(raw: str) -> str:
    path = unquote(raw)
    return path if quote(path, safe="$&+,/:;=@") == raw else raw


def _raw(request: Request) -> str:
    return str(request.scope["raw_path"].decode())


def _loosely(body: bytes) -> dict[str, Any]:
    """What can be read of a body before anybody validates it."""
    try:
        event = json.loads(body)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}
