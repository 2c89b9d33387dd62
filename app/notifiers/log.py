"""The notifier `log`: a line of the service's own log for each transition of a run."""

import logging

from app.ledger.rows import Letter
from app.senders import Channel

_LOG = logging.getLogger("firstmate.notice")


class LogNotifier(Channel):
    """Writes notices to the log; one that was lost in a crash is written again."""

    name = "log"
    keeps_letters = False

    async def send(self, letter: Letter) -> bool:
        """Write the line."""
        _LOG.info("%s", letter.body)
        return True
