"""The way back to Keptn: sending answers, asking what arrived and what is open, reading resources.

The same code speaks to a real Keptn, through its API or a distributor, and to the embedded plane.
"""
