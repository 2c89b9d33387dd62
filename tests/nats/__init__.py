"""Keptn's NATS: a real nats-server, what comes over it, and what becomes of answers.

The strict Keptn speaks to it as the controller does; nothing of NATS itself is made up here.
"""
