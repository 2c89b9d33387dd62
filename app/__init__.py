"""Firstmate: the service that does the work Keptn orders. `docs/architecture.md` is the map of this folder.

The river, top to bottom: doors -> ledger -> planning -> worker -> engines -> outbox -> senders. Imports point down only;
`plane` is another house that shares nothing with the service but `events` and `errors`.
"""
