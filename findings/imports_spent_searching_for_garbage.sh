#!/usr/bin/env bash
# A fifth of the time and more that a program of this field takes to start is spent searching for garbage that is not there.
#
# Guess:  Importing torch and diffusers' schedulers reads files and makes modules; Python's garbage collector is noise in that.
# Seen:   It runs a thousand times, now and then over all that was imported before, takes a quarter of the import, and frees
#         3 % of the objects; at its end Python searches all of them again. gc.disable() before the imports, and
#         gc.freeze() after them, give that time back, also in every process forked after.
# Here:   mgbench's commands search seldom, and the server that trials are forked from not at all while it imports.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet diffusers==0.42.1 torch==2.14.1 numpy==2.4.6
cat > "$folder/import.py" <<'PY'
import gc
import sys
import time

spent, began, runs, freed = 0.0, 0.0, 0, 0


def watch(phase, about):
    global spent, began, runs, freed
    if phase == "start":
        began = time.process_time()
    else:
        spent, runs, freed = spent + time.process_time() - began, runs + 1, freed + about["collected"]


gc.callbacks.append(watch)
if sys.argv[1] == "off":
    gc.disable()
started = time.process_time()
import diffusers.schedulers  # noqa: E402
import torch  # noqa: E402

print(time.process_time() - started, spent, runs, freed, len(gc.get_objects()), torch.__version__)
PY
OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 "$folder/venv/bin/python" - "$folder/import.py" <<'PY'
import statistics
import subprocess
import sys


def imported(how):
    said = subprocess.run([sys.executable, "-W", "ignore", sys.argv[1], how], capture_output=True, text=True, check=True).stdout.split()
    return [float(one) for one in said[:5]], said[5]


imported("on")  # reads the files for the first time
rounds = [(imported("on"), imported("off")) for _ in range(3)]
seconds, spent, runs, freed, objects = (statistics.median(one) for one in zip(*(on[0] for on, _ in rounds)))
without = statistics.median(off[0][0] for _, off in rounds)
print(f"torch {rounds[0][0][1]} and diffusers: {seconds:.2f} s of the processor, {spent / seconds:.0%} of it in {runs:.0f} searches among up to "
      f"{objects:,.0f} objects, which freed {freed:,.0f}; {without:.2f} s without")
assert spent > 0.15 * seconds
assert without < 0.9 * seconds
assert freed < 0.1 * objects
PY
