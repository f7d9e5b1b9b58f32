#!/usr/bin/env bash
# Flow matching in diffusers shifts the end of its path twice.
#
# Guess:  With shift=3, set_timesteps(N) visits N of the noise levels in the scheduler's own table, 1 to 0.003: equal
#         times, shifted.
# Seen:   The two ends of the equal times are read from the table, which is shifted already, and all of them are shifted
#         again: the last level is 0.0089 for any N, and with N = 1000, the length of the table, levels differ from it.
#         Where a network was trained on the table, its lowest noise is never visited.
# Here:   mgbench solves the straight path in equal steps, without a shift, on a table of as many times as steps.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.4.6 diffusers==0.42.1
OMP_NUM_THREADS=1 "$folder/venv/bin/python" - "$folder" <<'PY'
import diffusers
from diffusers import FlowMatchEulerDiscreteScheduler


def levels(shift, steps=None):
    scheduler = FlowMatchEulerDiscreteScheduler(shift=shift)
    if steps is not None:
        scheduler.set_timesteps(steps)
    return scheduler.sigmas.double()


table = levels(3.0)
ends = {steps: levels(3.0, steps)[-2].item() for steps in (4, 10, 50, 1000)}
apart = (levels(3.0, 1000)[:1000] - table[:1000]).abs().max().item()
print(f"diffusers {diffusers.__version__}: the table ends at {table[999]:.4f}, 4 to 1000 steps at {ends[4]:.4f}; "
      f"1000 steps differ from the table by up to {apart:.4f}")


def shifted(level):
    return 3 * level / (1 + 2 * level)


assert abs(table[999] - shifted(0.001)) < 1e-6
assert all(abs(end - shifted(shifted(0.001))) < 1e-6 for end in ends.values())
assert apart > 0.005
# Without a shift the levels are those of the table.
assert (levels(1.0, 1000)[:1000] - levels(1.0)[:1000]).abs().max() < 1e-6
PY
