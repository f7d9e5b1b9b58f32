#!/usr/bin/env bash
# Four solvers of diffusers add noise upside down: the least at the time of the most, and the most at time 0.
#
# Guess:  add_noise(x, noise, t) gives x the noise of time t of the scheduler's table, as with DDPM and DDIM, so that a
#         network can be trained with the scheduler it is sampled with.
# Seen:   Before set_timesteps, DPM-Solver++ (multistep and singlestep), UniPC and DEIS add at time 0 the noise of time 999
#         and at time 999 that of time 0: their times run down and their noise levels up. After set_timesteps(10), every
#         time that is none of the ten gets the noise of the last of them. Nothing is raised. (The Euler, Heun and LMS
#         schedulers are right before, and raise an error after.)
# Here:   mgbench adds noise by the table itself when it trains, and uses schedulers only to sample.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.4.6 diffusers==0.42.1
OMP_NUM_THREADS=1 "$folder/venv/bin/python" - "$folder" <<'PY'
import diffusers
import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DEISMultistepScheduler,
    DPMSolverMultistepScheduler,
    DPMSolverSinglestepScheduler,
    UniPCMultistepScheduler,
)

TIMES = torch.tensor([0, 250, 500, 750, 999])
share = DDPMScheduler().alphas_cumprod[TIMES].sqrt()


def kept(maker, steps=None):
    """How much of the image is left at each time."""
    scheduler = maker()
    if steps is not None:
        scheduler.set_timesteps(steps)
    return scheduler.add_noise(torch.ones(5, 1), torch.zeros(5, 1), TIMES).ravel()


print(f"diffusers {diffusers.__version__}: at times {TIMES.tolist()}, {share.numpy().round(3)} of the image should be left")
for maker in (DDPMScheduler, DDIMScheduler):
    for steps in (None, 10):
        assert torch.allclose(kept(maker, steps), share, atol=1e-5)
for maker in (DPMSolverMultistepScheduler, DPMSolverSinglestepScheduler, UniPCMultistepScheduler, DEISMultistepScheduler):
    before, after = kept(maker), kept(maker, 10)
    print(f"{maker.__name__}: {before.numpy().round(3)} before set_timesteps, {after.numpy().round(3)} after")
    assert torch.allclose(before[[0, 4]], share[[4, 0]], atol=1e-3)
    # Times 0, 250 and 750 are none of the ten.
    assert (after[[0, 1, 3]] == after[0]).all() and 0.93 < after[0] < 0.96
    assert torch.allclose(after[4], share[4], atol=1e-3)
PY
