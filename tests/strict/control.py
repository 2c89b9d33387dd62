"""What tests ask of the double under /_control: to trigger, to fail, to tell what it saw.

A test's side door; nothing of it exists in the real Keptn.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from tests.strict.controlplane import Keptn
from tests.strict.counting import Sequence, Task
from tests.strict.faults import MODES, PLACES, Rule, error
from tests.strict.validation import SCOPE, Event, Refused, now

Order = dict[str, Any]
Action = Callable[[Keptn, Order], Awaitable[Any]]


def mount(keptn: Keptn) -> Mount:
    """All control routes; a POST takes a JSON object, a GET its query."""
    return Mount("/_control", routes=[_route(keptn, *row) for row in ACTIONS])


def _route(keptn: Keptn, method: str, path: str, action: Action) -> Route:
    async def endpoint(request: Request) -> Response:
        request.state.wire.spared = True
        body = await request.body()
        order = dict(request.query_params) if method == "GET" or not body else await request.json()
        try:
            return JSONResponse(await action(keptn, order))
        except Refused as refused:
            return error(refused.status, refused.message)
        except (KeyError, TypeError) as mistake:
            return error(400, f"{path}: {mistake!r}")

    return Route(path, endpoint, methods=[method])


async def put_resource(keptn: Keptn, order: Order) -> Order:
    """Write a text at a level."""
    return {"commit": keptn.resources.put(order)}


async def put_sequence(keptn: Keptn, order: Order) -> Order:
    """Tell the shipyard which tasks a sequence has that comes in through the API."""
    keptn.controller.shipyard[order["project"], order["stage"], order["name"]] = order["tasks"]
    keptn.resources.know(order["project"], order["stage"], order.get("service", ""))
    return {}


async def trigger(keptn: Keptn, order: Order) -> Order:
    """Start a sequence and push its first task."""
    if order.get("event_id") in keptn.controller.tasks:
        raise Refused(409, f"event_id {order['event_id']!r} was used before")
    keptn.resources.know(*(order[name] for name in SCOPE))
    name = order.get("name", "delivery")
    event = _sequence_triggered(keptn, order, name)
    sequence = Sequence(name, order["tasks"], event, order)
    keptn.store.add(event)
    keptn.controller.start(sequence)
    task = sequence.current
    return {"context": event["shkeptncontext"], "triggeredid": task.id if task else ""}


def _sequence_triggered(keptn: Keptn, order: Order, name: str) -> Event:
    labels = {"labels": order["labels"]} if "labels" in order else {}
    commit = order.get("gitcommitid")
    return {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": "tests",
        "type": f"sh.keptn.event.{order['stage']}.{name}.triggered",
        "time": now(),
        "shkeptncontext": order.get("context") or str(uuid.uuid4()),
        "gitcommitid": keptn.resources.head(order["project"]) if commit is None else commit,
        "data": {key: order[key] for key in SCOPE} | labels | order.get("data", {}),
    }


async def deliver(keptn: Keptn, order: Order) -> Order:
    """Push a task's trigger again, `times` over."""
    keptn.deliveries.push(_task(keptn, order), order.get("times", 1))
    return {}


async def hold(keptn: Keptn, order: Order) -> Order:
    """Keep deliveries back, or let them go, perhaps `backwards`."""
    if order.get("on", True):
        keptn.deliveries.hold()
    else:
        await keptn.deliveries.release(backwards=order.get("backwards", False))
    return {}


async def abort(keptn: Keptn, order: Order) -> Order:
    """§2.4: end the sequence of an open task: status aborted, result pass."""
    keptn.controller.close(_task(keptn, order), "aborted", "aborted", "pass")
    return {}


async def join(keptn: Keptn, order: Order) -> Order:
    """Speak to a nats-server for a project; without a `url`, no more."""
    await keptn.broker.leave(order["project"])
    if "url" in order:
        await keptn.broker.join(order["project"], order["url"])
    return {}


async def steer(keptn: Keptn, order: Order) -> Order:
    """§2.4: abort, pause or resume the run of a task, also one that is closed by now."""
    trigger = _task(keptn, order).trigger
    where = trigger["data"]["project"], trigger["shkeptncontext"]
    keptn.controller.steer(*where, order["state"], order.get("stage", ""))
    return {}


async def add_faults(keptn: Keptn, order: Order) -> Order:
    """Append rules to those in force."""
    rules = [Rule(**rule) for rule in order["rules"]]
    for rule in rules:
        if rule.mode not in MODES or rule.where not in PLACES:
            raise Refused(400, f"{rule}: mode is one of {sorted(MODES)}, where of {sorted(PLACES)}")
    keptn.faults.rules += rules
    return {}


async def clear_faults(keptn: Keptn, order: Order) -> Order:
    """Drop all rules, or those of a project."""
    project = order.get("project")
    keptn.faults.rules = [
        rule for rule in keptn.faults.rules if project not in (None, rule.project)
    ]
    return {}


async def refuse(keptn: Keptn, order: Order) -> Order:
    """Refuse connections from now on, for so many seconds; only those of /_control stay."""
    keptn.refuse(order["seconds"])
    return {}


async def register(keptn: Keptn, order: Order) -> Order:
    """§3.2: another integration, with its subscriptions, that pinged so many seconds ago."""
    seen = datetime.now(UTC) - timedelta(seconds=order["ago"])
    home = {"namespace": order["namespace"], "podname": "", "deploymentname": order["name"]}
    metadata = {"hostname": "node", "location": "control-plane", "kubernetesmetadata": home}
    filters: dict[str, list[str] | None] = {"projects": [], "stages": None, "services": []}
    keptn.uniform.integrations.append(
        {
            "id": uuid.uuid4().hex,
            "name": order["name"],
            "metadata": metadata | {"lastseen": seen.isoformat().replace("+00:00", "Z")},
            "subscriptions": [{"event": one, "filter": filters} for one in order["events"]] or None,
        }
    )
    return {}


async def forget(keptn: Keptn, order: Order) -> Order:
    """§3.2: integrations of this name were not heard of for too long."""
    kept = [one for one in keptn.uniform.integrations if one["name"] != order["name"]]
    keptn.uniform.integrations = kept
    return {}


async def update(keptn: Keptn, order: Order) -> Order:
    """Become another version; what is known stays."""
    keptn.version = order["version"]
    return {}


async def reset(keptn: Keptn, order: Order) -> Order:
    """Forget everything."""
    keptn.reset()
    return {}


async def state(keptn: Keptn, order: Order) -> Order:
    """What was counted and objected to: of one task, of one context, or of all."""
    one = "triggeredid" in order
    wanted = [_task(keptn, order)] if one else list(keptn.controller.tasks.values())
    if "context" in order:
        wanted = [one for one in wanted if one.trigger["shkeptncontext"] == order["context"]]
    ids = set(order.values()) | {task.id for task in wanted}
    notes = [note for note in keptn.violations if not order or note["triggeredid"] in ids]
    asked = [one for one in keptn.lookups if not order or ids & set(one["query"].values())]
    return {
        "tasks": {task.id: task.view() for task in wanted},
        "violations": notes,
        "requests": keptn.requests,
        "lookups": asked,
        "logs": list(keptn.logs),
        "uniform": {"integrations": keptn.uniform.integrations, "asked": keptn.uniform.asked},
    }


UNTIL: dict[str, Callable[[Task], bool]] = {
    "triggered": lambda _: True,
    "delivered": lambda task: any(isinstance(one, int) and one < 300 for one in task.deliveries),
    "started": lambda task: bool(task.counted("started")),
    "finished": lambda task: bool(task.counted("finished")),
    "closed": lambda task: bool(task.closed_by),
    "sequence_closed": lambda task: task.sequence.current is None,
}


async def wait(keptn: Keptn, order: Order) -> Order:
    """Answer when a task has come so far, or after `seconds`."""
    task, reached = _task(keptn, order), UNTIL[order.get("until", "closed")]
    try:
        async with asyncio.timeout(float(order.get("seconds", 10))):
            while not reached(task):
                await task.sequence.changed.wait()
    except TimeoutError:
        return {"reached": False, "task": task.view()}
    return {"reached": True, "task": task.view()}


def _task(keptn: Keptn, order: Order) -> Task:
    found = keptn.controller.tasks.get(order["triggeredid"])
    if found is None:
        raise Refused(404, f"no task was triggered with id {order['triggeredid']!r}")
    return found


ACTIONS: list[tuple[str, str, Action]] = [
    ("POST", "/resources", put_resource),
    ("POST", "/sequences", put_sequence),
    ("POST", "/trigger", trigger),
    ("POST", "/deliver", deliver),
    ("POST", "/hold", hold),
    ("POST", "/abort", abort),
    ("POST", "/join", join),
    ("POST", "/steer", steer),
    ("POST", "/faults", add_faults),
    ("POST", "/clear_faults", clear_faults),
    ("POST", "/refuse", refuse),
    ("POST", "/register", register),
    ("POST", "/forget", forget),
    ("POST", "/update", update),
    ("POST", "/reset", reset),
    ("GET", "/state", state),
    ("GET", "/wait", wait),
]
