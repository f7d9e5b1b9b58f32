"""How long does a report of many rows take? Seconds of one core per stage, over records made up on the spot.

    OMP_NUM_THREADS=1 python -m benchmarks.report --rows 10000

from the root of the repository. `read` is reading and checking the records; `gallery` is finding out which pictures there
are; `draw` lays them out and `png`, `svg`, `pdf` write them; what is left is the page and its tables.
"""

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.figure  # noqa: F401 - importing is not what is measured

from mgbench.report.figures import picture
from mgbench.report.latex import write_tables
from mgbench.report.page import pictures as embedding
from mgbench.report.page import report
from mgbench.report.stored import read_stored
from tests.report.synthetic import large, store, store_study


class Stages:
    """Seconds of CPU by stage; what runs inside another stage counts for itself only."""

    def __init__(self) -> None:
        self.spent: Counter[str] = Counter()
        self._inside = [0.0]

    def timed(self, stage: str, run: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, whose time is counted."""

        def counted(*given: Any, **named: Any) -> Any:
            self._inside.append(0.0)
            start = time.process_time()
            try:
                return run(*given, **named)
            finally:
                took = time.process_time() - start
                self.spent[stage.format(*given)] += took - self._inside.pop()
                self._inside[-1] += took

        return counted


def measure(results: Path, output: Path) -> Stages:
    """Write a report and see where the time goes."""
    stages = Stages()
    write_bytes, gallery = picture.as_bytes, report.gallery
    picture.as_bytes = embedding.as_bytes = stages.timed("{1}", write_bytes)
    report.gallery = stages.timed(
        "gallery", lambda stored: [replace(item, draw=stages.timed("draw", item.draw)) for item in gallery(stored)]
    )
    stored = stages.timed("read", read_stored)(results, "large")
    stages.timed("page", report.write_report)(stored, output)
    stages.timed("tables", write_tables)(stored.frame, output)
    return stages


def main() -> None:
    """Make records, write a report of them, print rows and seconds per stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000, help="how many records (default: 10000)")
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        results, output = Path(folder, "results"), Path(folder, "report")
        records = list(large(rows))
        store(results, *records)
        store_study(results, "large", [(item.key, item.method) for item in records])
        stages = measure(results, output)
        size = (output / "index.html").stat().st_size
    print(f"{rows:,} rows, a page of {size / 1e6:.1f} MB")
    for stage, seconds in [*stages.spent.items(), ("in all", sum(stages.spent.values()))]:
        print(f"{stage:>8}  {seconds:6.2f} s")


if __name__ == "__main__":
    main()
