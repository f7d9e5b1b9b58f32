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
        left, again, differ, number = asked.kills, 0, set[str](), 0
        # One that ends before all kills are used up is followed by another, from the beginning.
        while left > 0:
            wild = Chaos(Path(folder) / f"wild-{number}", asked.seed + number, study)
            left, repeated = disturb(wild, left, asked.events, asked.damage)
            code = wild.finish()
            print(
                f"disturbed: exit code {code}, {len(wild.done())} rows done, {repeated} of them made again", flush=True
            )
            again, number = again + repeated, number + 1
            table = wild.table()
            differ |= {key for key, row in calm.table().items() if table.get(key) != row}
        print(f"differ: {', '.join(sorted(differ)) or 'none'}")
        return int(bool(differ or (again and not asked.damage)))


def disturb(wild: Chaos, kills: int, events: int, damage: bool) -> tuple[int, int]:
    """Kill a study until it ends, at most so often, and damage it; how many kills are left, and how many rows were made again."""
    done: dict[str, tuple[int, int]] = {}
    again = 0
    while kills and (killed := wild.kill(events)):
        print(f"{kills}: killed {killed}", flush=True)
        kills -= 1
        now = wild.done()
        again += sum(now.get(key) != file for key, file in done.items())
        done = now
        if damage:
            print(f"   {wild.damage()}", flush=True)
    return kills, again


if __name__ == "__main__":
    sys.exit(main())
