"""Those who tell people, one file a kind; `KINDS` is their registry.

A notifier never changes a run, and its silence delays nobody.
"""

from app.notifiers.channel import Notifier
from app.notifiers.cloudevent import CloudEventNotifier
from app.notifiers.log import LogNotifier
from app.notifiers.webhook import WebhookNotifier

KINDS: dict[str, type[Notifier]] = {
    "log": LogNotifier,
    "cloudevent": CloudEventNotifier,
    "webhook": WebhookNotifier,
}
