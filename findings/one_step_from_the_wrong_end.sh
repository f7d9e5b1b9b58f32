#!/usr/bin/env bash
# One step of DDPM or DDIM in diffusers begins where the image is clean.
#
# Guess:  set_timesteps(1) visits the noisiest time, so that one evaluation turns noise into an image.
# Seen:   The default spacing ('leading') visits time 0 alone, where the table says that hardly any noise is left: what
#         comes out is the noise that went in. With 50 steps the first time is 980, not 999.
# Here:   mgbench's own solvers begin at the noisy end with any number of steps; a law holds them to an exact Gaussian
#         model at 1 step.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.4.6 diffusers==0.42.1
OMP_NUM_THREADS=1 "$folder/venv/bin/python" - "$folder" <<'PY'
import diffusers
import torch
from diffusers import DDIMScheduler, DDPMScheduler

noise = torch.randn(10_000, 1, generator=torch.Generator().manual_seed(0))
for kind in (DDIMScheduler, DDPMScheduler):
    solver = kind(clip_sample=False)
    solver.set_timesteps(50)
    first = solver.timesteps[0].item()
    solver.set_timesteps(1)
    times, x = solver.timesteps.tolist(), noise
    # The data are all 0, and what goes in is all noise: so is the right prediction, and one step should give nearly 0.
    for t in solver.timesteps:
        eps = noise
        x = solver.step(eps, t, x).prev_sample
    print(f"diffusers {diffusers.__version__}, {kind.__name__}: 50 steps begin at {first}, 1 step at {times}; deviation left {x.std():.2f}")
    assert first == 980 and times == [0]
    assert x.std() > 0.9
PY
