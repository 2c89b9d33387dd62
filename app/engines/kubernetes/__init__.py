"""The engine `kubernetes`: every task one Job, seen through shared watches.

Only `client` needs the package `kubernetes`; whoever does not run Jobs imports nothing of it.
"""
