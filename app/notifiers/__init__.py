"""Those who hear of every transition, one file each; `NOTIFIERS` is their registry.

A notifier never changes a run, and its silence delays nobody.
"""
