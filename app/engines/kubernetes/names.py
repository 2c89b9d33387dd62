"""Names and labels of what stands in the cluster; pure, and no object is built here."""

import re

from app.engines.contract import Origin

KEY = "firstmate/launch-key"
FILES = "firstmate/files"
NETWORK = "firstmate/network"
MANAGED_BY = "app.kubernetes.io/managed-by"

_UNFIT = re.compile(r"[^-A-Za-z0-9_.]+")
_LONGEST = 63


def job(key: str) -> str:
    """The name of a launch key's Job, and of its container."""
    return f"firstmate-{key}"


def value(text: str) -> str:
    """Any text as a label's value, as job-executor does it."""
    return _UNFIT.sub("_", text)[:_LONGEST].strip("-_.")


def labels(origin: Origin) -> dict[str, str]:
    """Those that job-executor's users select by; other than there, none can make a Job invalid."""
    return {
        "keptn.sh/context": value(origin.context),
        "keptn.sh/event-id": value(origin.event_id),
        "keptn.sh/commitid": value(origin.commit),
        "keptn.sh/jes-action": value(origin.action[1]),
        "keptn.sh/jes-task": value(origin.task[1]),
        "keptn.sh/jes-job-confighash": value(origin.config_hash),
        "keptn.sh/jes-action-index": str(origin.action[0]),
        "keptn.sh/jes-task-index": str(origin.task[0]),
    }
