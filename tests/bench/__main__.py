"""`make bench`, or `python -m tests.bench [--json FILE]`: all measurements and the one table."""

import argparse
import json
import platform
import sys
import tempfile
import time
from pathlib import Path

from tests.bench import acceptance, cluster, fleet, footprint, lifecycles, plane
from tests.bench.table import Figure, render

DISK = "/var/tmp"
"""Where the data folders are: on a disk, where /tmp may be memory."""

PARTS = (acceptance, lifecycles, footprint, plane, cluster, fleet)


def measure() -> list[Figure]:
    """Everything, one after the other."""
    figures: list[Figure] = []
    for part in PARTS:
        print(f"measuring {part.__name__.rpartition('.')[2]} ...", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="firstmate-bench-", dir=DISK) as folder:
            figures += part.measure(Path(folder))
    return figures


def main() -> None:
    """Measure, print, and write what a machine may want."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("--json", type=Path, help="file to write the same figures to")
    given = parser.parse_args()
    begin = time.monotonic()
    figures = measure()
    print(render(figures))
    took = f"Python {platform.python_version()}, {time.monotonic() - begin:.0f} s"
    print(f"({took}; what else this machine did counts: read ratios, not amounts)")
    if given.json:
        given.json.write_text(json.dumps([figure.as_json() for figure in figures], indent=1) + "\n")


if __name__ == "__main__":
    main()
