"""The ledger: every run, every message still owed, and every event id ever taken, in one file.

This room knows tables and transactions; what a transition means stands in `app.lifecycle`.
"""
