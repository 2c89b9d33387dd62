"""Firstmate: the service that does the work Keptn orders; `docs/architecture.md` is the map.

The river, top to bottom: doors -> ledger -> planning -> worker -> engines -> outbox -> senders.
Imports point down only; `plane` is another house that shares only `events`, `errors` and `clock`.
"""
