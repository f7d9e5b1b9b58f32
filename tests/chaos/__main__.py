"""`python -m tests.chaos`: as many kills as you have time for; exits with 1 where the end is not what it should be."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.chaos.disturb import STUDY, Chaos


def main() -> int:
    """Disturb a study as asked, print what was done to it, and compare its end with that of an undisturbed one."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="how often to kill it (default: 20)")
    parser.add_argument("--events", type=int, default=40, help="within how many events of a start (default: 40)")
    parser.add_argument("--damage", action="store_true", help="also damage a file after every kill")
    parser.add_argument("--seed", type=int, default=0, help="decides the moments and the files (default: 0)")
    parser.add_argument("study", nargs="*", help="what to give to 'mgbench run', after -- (default: a tiny study)")
    asked = parser.parse_args()
    study = tuple(asked.study) or STUDY
    with tempfile.TemporaryDirectory(prefix="mgbench-chaos-") as folder:
        calm = Chaos(Path(folder) / "calm", study=study)
        print(f"undisturbed: exit code {calm.finish()}, {len(calm.done())} rows done", flush=True)
        wild = Chaos(Path(folder) / "wild", asked.seed, study)
        again = disturb(wild, asked.kills, asked.events, asked.damage)
        code = wild.finish()
        print(f"disturbed: exit code {code}, {len(wild.done())} rows done, {again} of them made again")
        differ = sorted(key for key, row in calm.table().items() if wild.table().get(key) != row)
        print(f"differ: {', '.join(differ) or 'none'}")
        return int(bool(differ or code or (again and not asked.damage)))


def disturb(wild: Chaos, kills: int, events: int, damage: bool) -> int:
    """Kill a study so often, and damage it; how many rows that were done were made again."""
    done: dict[str, tuple[int, int]] = {}
    again = 0
    for number in range(1, kills + 1):
        print(f"{number}: killed {wild.kill(events)}", flush=True)
        now = wild.done()
        again += sum(now.get(key) != file for key, file in done.items())
        done = now
        if damage:
            print(f"   {wild.damage()}", flush=True)
    return again


if __name__ == "__main__":
    sys.exit(main())
