"""How long do commands take that read ten thousand rows? Seconds of CPU, here and in another checkout, in turns.

    OMP_NUM_THREADS=1 python -m benchmarks.reading --before ../old/.venv/bin/python --rows 10000 --rounds 3

from the root of the repository. `--before` is the Python of the other checkout, which lies two folders above it (`.venv/bin`).
Each checkout makes its own records, in its own format. Printed are the median seconds of each, and the median of the
ratios of the rounds (above 1: slower here than there); without `--before`, only the seconds here.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COMMANDS: dict[str, Sequence[str]] = {
    "start": ("--version",),
    "status": ("status", "--results", "{results}"),
    "results": ("results", "--results", "{results}"),
    "show": ("show", "large", "--results", "{results}"),
    "report": ("report", "{results}", "--study", "large", "-o", "{reports}"),
}
MAKE = """
import sys
from pathlib import Path
from tests.report.synthetic import large, store, store_study
records = list(large(int(sys.argv[2])))
store(Path(sys.argv[1]), *records)
store_study(Path(sys.argv[1]), "large", [(item.key, item.method) for item in records])
"""


def seconds(python: Path, root: Path, *words: str) -> float:
    """Seconds of CPU of a Python process, and of all that it starts, in the root of its checkout."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [python, *words], cwd=root, env={**os.environ, "COLUMNS": "200"}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} in {root} failed:\n{done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Make records, run every command in turns, print seconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, help="the Python of the checkout to compare with")
    parser.add_argument("--rows", type=int, default=10_000, help="how many records (default: 10000)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each command runs (default: 3)")
    asked = parser.parse_args()
    builds = {"here": (Path(sys.executable), ROOT)}
    if asked.before:
        # Not resolved: the Python of a virtual environment is a link out of it.
        python = Path(os.path.abspath(asked.before))  # noqa: PTH100
        builds = {"before": (python, python.parents[2]), **builds}
    with tempfile.TemporaryDirectory() as folder:
        for name, (python, root) in builds.items():
            seconds(python, root, "-c", MAKE, f"{folder}/{name}", str(asked.rows))
        for command, words in COMMANDS.items():
            spent: dict[str, list[float]] = {name: [] for name in builds}
            for _ in range(asked.rounds):
                for name, (python, root) in builds.items():
                    places = {"results": f"{folder}/{name}", "reports": f"{folder}/{name}-reports"}
                    filled = [word.format(**places) for word in words]
                    spent[name].append(seconds(python, root, "-m", "mgbench", *filled))
            medians = "  ".join(f"{name} {statistics.median(found):6.2f} s" for name, found in spent.items())
            pairs = zip(spent["here"], spent.get("before", ()), strict=False)
            ratios = [now / then for now, then in pairs]
            print(f"{command:>8}  {medians}" + (f"  ratio {statistics.median(ratios):.2f}" if ratios else ""))


if __name__ == "__main__":
    main()
