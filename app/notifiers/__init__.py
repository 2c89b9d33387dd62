"""Those who hear of every transition, one file each; `configured` is their registry.

A notifier never changes a run, and its silence delays nobody.
"""

from app.notifiers.cloudevent import CloudEventNotifier
from app.notifiers.log import LogNotifier
from app.outbound import Outbound
from app.senders import Channel


def configured(forward_url: str, outbound: Outbound) -> list[Channel]:
    """The notifiers that the operator asked for."""
    asked: list[Channel] = [LogNotifier()]
    if forward_url:
        asked.append(CloudEventNotifier(forward_url, outbound))
    return asked
