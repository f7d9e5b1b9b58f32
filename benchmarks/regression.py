"""Is this checkout slower than another commit? Training steps, samples and features of both, in turns; fails beyond 15 %.

    python -m benchmarks.regression                        # against the last commit (that before HEAD, if nothing is changed)
    python -m benchmarks.regression --against v0.1.0 --methods emigm,maskgit --rounds 9

from the root of the repository (`tox run -e speed`). The other commit is checked out into a worktree in a temporary
folder; both use the Python and the packages at hand. Each round runs `mgbench speed` of both, which change places
from round to round. Printed is the ratio of the medians of each time with its bootstrap interval of 95 % (above 1:
slower here). The exit code is 1 if a ratio is above 1.15 and the checkout was slower in every round: of five rounds
of equal commits that is so in one of 32, if the ratio is beyond the limit at all.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mgbench.stages.timing import ratio_of_medians

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 1.15
# Times that are compared, of those that `mgbench speed --json` tells.
COSTS = ("train_step_seconds", "seconds_per_image", "features_seconds_per_image")
Times = dict[str, list[float]]


def git(*words: str) -> str:
    """What a git command says."""
    done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def the_last() -> str:
    """HEAD where files of the checkout are changed, and otherwise the commit before it."""
    return "HEAD" if git("status", "--porcelain", "--untracked-files=no") else "HEAD~1"


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """A worktree of a commit."""
    with tempfile.TemporaryDirectory() as folder:
        there = Path(folder) / "there"
        git("worktree", "add", "--detach", str(there), commit)
        try:
            yield there
        finally:
            git("worktree", "remove", "--force", str(there))


@contextmanager
def importable(side: Path) -> Iterator[dict[str, str]]:
    """The environment in which Python imports the package and the plugins of a checkout, and not those that are installed."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "mgbench_plugins").symlink_to(side / "plugins")
        yield {**os.environ, "PYTHONPATH": os.pathsep.join((str(side), folder)), "OMP_NUM_THREADS": "1"}


def speeds(side: Path, methods: Sequence[str], batch: int) -> Times:
    """One time of each cost of each method in a checkout."""
    with importable(side) as environment, tempfile.TemporaryDirectory() as results:
        words = ["speed", *methods, "--batch", str(batch), "--rounds", "3", "--json", "--results", results]
        done = subprocess.run(
            [sys.executable, "-m", "mgbench", *words], env=environment, cwd=results, capture_output=True, text=True
        )
    if done.returncode:
        raise SystemExit(f"mgbench speed fails in {side}: {done.stderr.strip()[-500:]}")
    found = json.loads(done.stdout)
    return {f"{one['method']} {cost}": [one["costs"][cost]] for one in found for cost in COSTS if cost in one["costs"]}


def rounds_of(sides: tuple[Path, Path], rounds: int, methods: Sequence[str], batch: int) -> tuple[Times, Times]:
    """The times of both checkouts, a number for each round."""
    found: tuple[Times, Times] = ({}, {})
    for turn in range(rounds):
        for place in (0, 1) if turn % 2 == 0 else (1, 0):
            for name, seconds in speeds(sides[place], methods, batch).items():
                found[place].setdefault(name, []).extend(seconds)
    return found


def is_slower(here: Sequence[float], before: Sequence[float]) -> bool:
    """Whether the ratio of medians is beyond the limit, and it took longer here in every round."""
    return ratio_of_medians(here, before).value > LIMIT and all(
        one > other for one, other in zip(here, before, strict=True)
    )


def main(given: Sequence[str] | None = None) -> int:
    """Compare, print the ratios, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", default="", help="a commit, branch or tag (default: the last commit)")
    parser.add_argument("--methods", default="emigm,maskgit")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args(given)
    commit = git("rev-parse", "--short", asked.against or the_last())
    with checked_out(commit) as there:
        here, before = rounds_of((ROOT, there), asked.rounds, asked.methods.split(","), asked.batch)
    slower = [name for name in here if name in before and is_slower(here[name], before[name])]
    print(f"time here over that at {commit}, medians of {asked.rounds} rounds:")
    for name in (name for name in here if name in before):
        print(f"{name:<40} {ratio_of_medians(here[name], before[name])}{'  SLOWER' * (name in slower)}")
    return int(bool(slower))


if __name__ == "__main__":
    sys.exit(main())
