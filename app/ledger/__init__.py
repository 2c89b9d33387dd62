"""The ledger: every run, every message still owed, and every event id ever taken, in one file.

This room knows tables and transactions; what a transition means stands in `app.lifecycle`.
"""

from app.ledger.rows import Letter, Run, TaskRow
from app.ledger.store import Ledger, LedgerFull

__all__ = ["Ledger", "LedgerFull", "Letter", "Run", "TaskRow"]
