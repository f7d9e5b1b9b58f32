#!/usr/bin/env bash
# jax.random.categorical of logits in bfloat16 draws the first half of the codes.
#
# Guess:  Equal logits are drawn equally often, in whatever precision a network returns them; bfloat16 costs digits of the
#         probabilities, no more.
# Seen:   The Gumbel noise is drawn in the precision of the logits, which has few values; draws that are equal go to the
#         first of them. Of 1,024 equal codes in bfloat16, the first half gets 98 % of 20,000 draws and 300 get none; in
#         float16 it gets 62 %. Of 2 codes, one of probability 1/1,024 is drawn 0.6 times as often as it should be.
#         In float32, or with mode="high", all are drawn.
# Here:   mgbench draws tokens with noise in float64, whatever the precision of the network.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet jax==0.10.2 jaxlib==0.10.2 ml-dtypes==0.6.0 numpy==2.4.6 scipy==1.17.1
JAX_PLATFORMS=cpu OMP_NUM_THREADS=1 "$folder/venv/bin/python" - "$folder" <<'PY'
import jax
import jax.numpy as jnp
import numpy as np

CODES, DRAWS = 1024, 20_000


def draws(logits, count, seed, **options):
    codes = jax.random.categorical(jax.random.key(seed), jnp.broadcast_to(logits, (count, len(logits))), **options)
    return np.bincount(np.asarray(codes), minlength=len(logits))


def equal(dtype, seed, **options):
    drawn = draws(jnp.zeros(CODES, dtype), DRAWS, seed, **options)
    return drawn[: CODES // 2].sum() / DRAWS, int((drawn == 0).sum())


def rare(dtype, seed):
    return CODES * draws(jnp.log(jnp.array([1 - 1 / CODES, 1 / CODES])).astype(dtype), 200_000, seed)[1] / 200_000


print(f"jax {jax.__version__}")
for seed in (0, 1):
    full, half, brain = (equal(dtype, seed) for dtype in (jnp.float32, jnp.float16, jnp.bfloat16))
    high = equal(jnp.bfloat16, seed, mode="high")
    seldom = [rare(dtype, seed) for dtype in (jnp.float32, jnp.bfloat16)]
    print(f"seed {seed}: share of the first half of {CODES} equal codes: float32 {full[0]:.3f}, float16 {half[0]:.3f}, bfloat16 {brain[0]:.3f}"
          f" (mode='high' {high[0]:.3f}); never drawn {full[1]}, {half[1]}, {brain[1]} ({high[1]});"
          f" a rare code {seldom[0]:.2f} times as often in float32, {seldom[1]:.2f} in bfloat16")
    assert abs(full[0] - 0.5) < 0.02 and full[1] == 0
    assert 0.58 < half[0] < 0.66
    assert brain[0] > 0.95 and brain[1] > 150 and high[0] < 0.52 and high[1] == 0
    assert 0.8 < seldom[0] < 1.2 and seldom[1] < 0.8
PY
