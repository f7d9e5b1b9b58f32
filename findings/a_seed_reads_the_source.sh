#!/usr/bin/env bash
# On a machine without a GPU, a seed writes down the source lines of everything that called for it.
#
# Guess:  torch.manual_seed sets a few numbers, in a microsecond, wherever it is called; without a GPU it does no more than
#         the seed of the CPU's own generator.
# Seen:   The build for CUDA keeps the seed for GPUs that may come into use, with a traceback: every call formats its whole
#         stack with its source lines, three times (CUDA, XPU, MTIA), which takes some hundred times as long as the generator's own method,
#         and longer the deeper the call is.
# Here:   mgbench seeds every training step; it did so with torch.manual_seed, which was over 1 % of a step of its small
#         models, and seeds the generator itself now.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.4.6
cat >"$folder/seeds.py" <<'PY'
import timeit
import traceback

import torch

assert not torch.cuda.is_available() and torch.version.cuda, "this is about a build for CUDA on a machine without a GPU"
formatted, format_stack = [], traceback.format_stack


def counting(*arguments, **options):
    found = format_stack(*arguments, **options)
    formatted.append(len(found))
    return found


def at_depth(depth, call):
    return at_depth(depth - 1, call) if depth else call()


def microseconds(call, depth):
    return at_depth(depth, lambda: min(timeit.repeat(call, number=20, repeat=20))) / 20 * 1e6


traceback.format_stack = counting
seeds = (lambda: torch.manual_seed(1), lambda: torch.default_generator.manual_seed(1))
stacks = []
for seed in seeds:
    formatted.clear()
    at_depth(50, seed)
    stacks.append(list(formatted))
traceback.format_stack = format_stack
whole, own = ([microseconds(seed, depth) for depth in (0, 50)] for seed in seeds)
print(f"torch {torch.__version__}: tracebacks of a seed: {len(stacks[0])}, of the generator's own: {len(stacks[1])}; "
      f"microseconds at depth 0 and 50: {whole[0]:.0f} and {whole[1]:.0f}, the generator's own {own[0]:.1f} and {own[1]:.1f}")
torch.manual_seed(7)
first = torch.rand(3)
torch.default_generator.manual_seed(7)
assert torch.equal(torch.rand(3), first), "both seeds give the same numbers"
assert len(stacks[0]) == 3 and min(stacks[0]) > 5 and stacks[1] == []
assert whole[1] > whole[0] > 5 * own[0]
PY
OMP_NUM_THREADS=1 "$folder/venv/bin/python" "$folder/seeds.py"
