#!/usr/bin/env bash
# DPM-Solver++ of diffusers forgets where its noise table is clipped when steps are uniform in log-SNR.
#
# Guess:  DPMSolverMultistepScheduler(lambda_min_clipped=-5.1) starts near a half log-SNR of -5.1 however its steps are
#         spaced; that is what the option is for with the cosine table.
# Seen:   With use_lu_lambdas=True it starts at -9.9, and spends two of ten evaluations at one and the same time.
# Here:   mgbench cuts the table itself before it hands it over.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.4.6 diffusers==0.42.1
OMP_NUM_THREADS=1 "$folder/venv/bin/python" - "$folder" <<'PY'
import diffusers
from diffusers import DPMSolverMultistepScheduler


def start(**options):
    solver = DPMSolverMultistepScheduler(beta_schedule="squaredcos_cap_v2", lambda_min_clipped=-5.1, **options)
    solver.set_timesteps(10)
    return -solver.sigmas[0].log().item(), solver.timesteps.tolist()


plain, log_uniform = start(), start(use_lu_lambdas=True)
print(f"diffusers {diffusers.__version__}: starts at {plain[0]:.2f} and, uniform in log-SNR, at {log_uniform[0]:.2f}; times {log_uniform[1]}")
assert -5.2 < plain[0] < -5
assert log_uniform[0] < -9
assert len(set(log_uniform[1])) < 10
PY
