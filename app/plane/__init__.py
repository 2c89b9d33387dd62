"""The embedded control plane: a Keptn small enough to run beside the service.

Another house: it shares nothing with the service but `app.events`, `app.errors` and `app.clock`,
and is spoken to over HTTP only. `house.py` is its front door.
"""
