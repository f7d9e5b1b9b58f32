"""How much faster is a study on two devices than on one? Four equal trials, the two settings in turns, the clock on the wall.

    python benchmarks/devices.py --rounds 5

Every run is a command of its own with an empty results folder, so that start, tokenizer, evaluation and report count as they do
for a user. The settings change places from round to round, because a machine may slow down as it warms.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SEEDS = "0,1,2,3"


def main() -> None:
    """Measure, print every time, and last the median of the ratios."""
    asked = _asked()
    settings = (asked.one, asked.many)
    ratios = []
    for number in range(asked.rounds):
        order = settings if number % 2 == 0 else settings[::-1]
        seconds = {devices: _seconds(asked, devices) for devices in order}
        ratios.append(seconds[asked.one] / seconds[asked.many])
        said = ", ".join(f"{devices} {seconds[devices]:.1f} s" for devices in settings)
        print(f"round {number + 1}: {said}, ratio {ratios[-1]:.2f}", flush=True)
    print(
        f"median ratio of {len(ratios)} rounds: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    )
    load = f", load {os.getloadavg()[0]:.1f} at the end" if hasattr(os, "getloadavg") else ""
    print(f"{asked.steps} steps a trial, {os.cpu_count()} cores{load}")


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="how often both settings are run")
    parser.add_argument("--steps", type=int, default=1500, help="training steps of each of the four trials")
    parser.add_argument("--samples", type=int, default=360, help="images of each trial")
    parser.add_argument("--method", default="emigm", help="a method, which is also the name of its plugin")
    parser.add_argument("--one", default="cpu:1", help="the devices to compare with")
    parser.add_argument("--many", default="cpu:2", help="the devices that should be faster")
    return parser.parse_args()


def _seconds(asked: argparse.Namespace, devices: str) -> float:
    """The seconds of one whole command."""
    with tempfile.TemporaryDirectory(prefix="mgbench-devices-") as folder:
        command = [
            *(sys.executable, "-m", "mgbench", "run", "--plugins", asked.method, "--methods", asked.method),
            *("--seeds", SEEDS, "--devices", devices, "--quiet"),
            *("--set", f"train_steps={asked.steps}", "--set", f"samples={asked.samples}"),
            *("--results", str(Path(folder, "results")), "--reports", str(Path(folder, "reports"))),
        ]
        started = time.perf_counter()
        subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        return time.perf_counter() - started


if __name__ == "__main__":
    main()
