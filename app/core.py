"""What the moving parts of one service share: its ledger, its transitions, its clock, its figures.

Only values are handed around here; each part gets the rest of what it needs by itself.
"""

from dataclasses import dataclass, field

from app.clock import Clock
from app.ledger import Ledger
from app.lifecycle import Lifecycle
from app.metrics import Metrics
from app.tracing import Tracer


@dataclass(frozen=True)
class Core:
    """The common ground of one running service; `source` is what its events say they come from."""

    ledger: Ledger
    lifecycle: Lifecycle
    clock: Clock
    metrics: Metrics
    source: str
    tracer: Tracer = field(default_factory=Tracer)
