"""The kind `log`: a line of the service's own log. It knows no platform."""

import logging

from app.notifiers.channel import Notifier
from app.notifiers.notice import Notice


class LogNotifier(Notifier):
    """Writes the line; one that was lost in a crash is written again."""

    async def deliver(self, body: str, missed: int) -> str:
        """Write it."""
        line = Notice.model_validate_json(body).line(missed)
        logging.getLogger("firstmate.notice").info("%s", line, extra={"channel": self.channel.name})
        return "written"
