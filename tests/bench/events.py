"""The events that the bench pushes, as documents and as bytes on the wire; all of one size."""

import json
from typing import Any

PLACEHOLDER = "00000000-0000-0000-0000-000000000000"
SCOPE = {"project": "bench", "stage": "s", "service": "svc"}
TYPE = "sh.keptn.event.test.triggered"


def triggered(event_id: str = PLACEHOLDER, **labels: str) -> bytes:
    """A structured event of about a kilobyte, as a distributor delivers it."""
    data: dict[str, Any] = {
        **SCOPE,
        "message": "",
        "labels": {"build": "1.17.0-next.4", "owner": "team-checkout", **labels},
        "deployment": {
            "deploymentURIsLocal": ["http://carts.sockshop-staging.svc.cluster.local:80"],
            "deploymentURIsPublic": ["http://carts.sockshop-staging.example.com:80"],
            "deploymentNames": ["direct"],
            "gitCommit": "4d3b1e6f2a0c9b8d7e6f5a4b3c2d1e0f9a8b7c6d",
        },
        "test": {"teststrategy": "performance"},
        "temporaryData": {
            "distributor": {"subscriptionID": "a4b3c2d1-6f2a-4c9b-8d7e-6f5a4b3c2d1e"}
        },
    }
    event = {
        "specversion": "1.0",
        "id": event_id,
        "source": "shipyard-controller",
        "type": TYPE,
        "datacontenttype": "application/json",
        "shkeptncontext": "6a7b8c9d-0e1f-4a2b-8c3d-4e5f6a7b8c9d",
        "shkeptnspecversion": "0.2.4",
        "triggeredid": "",
        "data": data,
    }
    return json.dumps(event).encode()


def request(body: bytes) -> bytes:
    """The whole POST of an event to a door, ready to be written to a socket."""
    head = (
        "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/cloudevents+json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
