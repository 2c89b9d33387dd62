"""The program `python -m tests.bench.instant`: the real service, whose engine does nothing."""

from pathlib import Path

from app import main, settings
from tests.ship import InstantEngine


def run() -> None:
    """Serve until a signal."""
    vars(main)["ProcessEngine"] = lambda *_: InstantEngine()
    main.serve(settings.load(), Path(), "", lambda service: print(service.places, flush=True))


if __name__ == "__main__":
    run()
