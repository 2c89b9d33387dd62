"""Where work runs: one file an engine, all with the same contract and the same contract tests.

An engine knows nothing of Keptn, of events, or of the ledger.
"""
