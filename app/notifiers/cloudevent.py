"""The kind `cloudevent`: POSTs the very event, as a door would get it. It changes nothing in it."""

from app.notifiers.channel import Notifier


class CloudEventNotifier(Notifier):
    """Forwards events in structured mode; an event that comes again has the same id."""

    wants_event = True

    async def deliver(self, body: str, missed: int) -> str:
        """Forward one event; a header tells of `missed` ones."""
        headers = {"content-type": "application/cloudevents+json"}
        return await self.post(body, headers | ({"x-missed": str(missed)} if missed else {}))
