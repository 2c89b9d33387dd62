"""`firstmate trigger`: sends the event that the `keptn` command would send, to the same API."""

import json
import ssl
import uuid
from collections.abc import Iterable
from functools import cache
from typing import Any

import httpx

from app import settings
from app.errors import Permanent
from app.events import grammar
from app.ledger import guard
from app.outbound import DIRECT

SOURCE = "https://github.com/keptn/keptn/cli#configuration-change"
"""What the `keptn` command says of itself; integrations in the wild filter by it."""

_trust = cache(ssl.create_default_context)


def trigger(
    name: str, *, project: str, stage: str, service: str, labels: str, data: Iterable[str]
) -> str:
    """Trigger a sequence.

    Returns:
        The Keptn context of the new run.

    Raises:
        Permanent: no API is known, it cannot be reached, or it refuses the event.
    """
    scope = {"project": project, "stage": stage, "service": service}
    event = {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": SOURCE,
        "type": grammar.of_sequence(stage, name, "triggered"),
        "datacontenttype": "application/json",
        "data": {**unfold(data), **scope, "labels": dict(pairs([labels], "--labels"))},
    }
    base, token = api()
    reply = call("POST", f"{base}/v1/event", token, content=json.dumps(event))
    if "keptnContext" not in reply:
        raise Permanent(f"{base} answers, but not as Keptn's API: mend KEPTN_API_ENDPOINT")
    return str(reply["keptnContext"])


def report(context: str, *, as_json: bool) -> str:
    """What the command prints."""
    text = json.dumps({"keptnContext": context})
    return text if as_json else f"ID of Keptn context: {context}"


def api() -> tuple[str, str]:
    """Base URL and token of the API to use: a real Keptn's if configured, else our plane's."""
    found = settings.load()
    if found.keptn_api_endpoint:
        return found.keptn_api_endpoint, found.api_token()
    base = guard.read_holder(found.data_dir).get("api")
    if not base:
        raise Permanent(
            f"no control plane runs on DATA_DIR {found.data_dir}: start `firstmate serve` with the"
            " same DATA_DIR, or set KEPTN_API_ENDPOINT and KEPTN_API_TOKEN"
        )
    return base, (found.data_dir / settings.TOKEN_FILE).read_text().strip()


def call(method: str, url: str, token: str, **request: Any) -> dict[str, Any]:
    """One request to a Keptn API, and the JSON object it answers with."""
    headers = {"x-token": token, "content-type": "application/json"}
    try:
        with httpx.Client(timeout=30, verify=_trust(), mounts=DIRECT) as client:
            reply = client.request(method, url, headers=headers, **request)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Permanent(f"{url.partition('?')[0]}: {type(error).__name__}: {error}") from None
    try:
        found = reply.json()
    except ValueError:
        found = None
    if reply.is_success and isinstance(found, dict):
        return found
    said = found.get("message", "") if isinstance(found, dict) else "no JSON object"
    raise Permanent(f"{url.partition('?')[0]} answered {reply.status_code}: {said}")


def pairs(texts: Iterable[str], flag: str) -> list[tuple[str, str]]:
    """The (key, value) pairs of texts such as `a=b,c=d`."""
    found = [part.partition("=") for text in texts for part in text.split(",") if part]
    for key, equals, _ in found:
        if not key or not equals:
            raise Permanent(f"{flag} wants key=value pairs with commas between, got {key!r}")
    return [(key, value) for key, _, value in found]


def unfold(texts: Iterable[str]) -> dict[str, Any]:
    """The nested object that dotted keys describe; all values are texts, as `keptn` sends them."""
    result: dict[str, Any] = {}
    for key, value in pairs(texts, "--data"):
        *path, last = key.split(".")
        inner = result
        for part in path:
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):
                raise Permanent(f"--data {key}: {part} is a value and an object at once")
        inner[last] = value
    return result
