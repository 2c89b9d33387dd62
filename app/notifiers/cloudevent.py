"""The notifier `cloudevent`: POSTs to FORWARD_URL the very event that Keptn was sent."""

from app.ledger.rows import Letter
from app.outbound import Outbound
from app.senders import Channel


class CloudEventNotifier(Channel):
    """Forwards answers in structured mode, at least once; the id tells one that comes again."""

    name = "cloudevent"

    def __init__(self, url: str, outbound: Outbound) -> None:
        self._url = url
        self._outbound = outbound

    async def send(self, letter: Letter) -> bool:
        """Forward one event."""
        media_type = {"content-type": "application/cloudevents+json"}
        await self._outbound.request("POST", self._url, headers=media_type, content=letter.body)
        return True
