"""MAR: autoregressive image generation without vector quantization (Li et al., arXiv:2406.11838).

Continuous tokens, each drawn by a small diffusion model given the network output. In training, one masked share per
batch is drawn from a normal distribution with mean 1, truncated below 0.7; in sampling, the cosine schedule reveals
tokens in a random order, the head uses 100 ancestral steps, and guidance grows with the revealed share, with a learned
"no label" embedding.
"""

from mgbench.hookspecs import hookimpl
from mgbench.interfaces.bibtex import by_key
from mgbench.recipes.recipe import Recipe

# The choices of the paper; width, budget and scale are eMIGM's on the digits (in the paper at least 2.9, for 256 tokens).
MAR = Recipe.of(
    tokenizer="patch(size=2)",
    network="mae(unconditional=class_token)",
    head="diffusion(noise_samples=2)",
    mask_schedule="cosine",
    masking="truncnorm(mean=1, std=0.25, low=0.7, high=1, draws=shared)",
    loss_weighting="uniform",
    sampler="random_order",
    guidance_schedule="linear(scale=2.0)",
    solver="ddpm(steps=100)",
    train_steps=3200,
    ema=0.998,
)

BIBTEX = r"""
@misc{li2024autoregressive,
  title = {Autoregressive Image Generation without Vector Quantization},
  author = {Li, Tianhong and Tian, Yonglong and Li, He and Deng, Mingyang and He, Kaiming},
  year = {2024},
  eprint = {2406.11838},
  archivePrefix = {arXiv},
}
"""


@hookimpl
def mgbench_recipes() -> dict[str, Recipe]:
    return {"mar": MAR, "mar-unguided": MAR.change(guidance_schedule="none")}


@hookimpl
def mgbench_references() -> dict[str, str]:
    return by_key(BIBTEX)
