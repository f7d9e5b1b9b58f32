"""Masked diffusion models: MDLM (Sahoo et al., arXiv:2406.07524), MD4 (Shi et al., 2406.04329), RADD (Ou et al.,
2406.03736).

All three have the same model: every token is masked independently with probability γ(t) = t, the loss is weighted by
γ′/γ = 1/t, which makes it a likelihood bound, the times of a batch are stratified, and sampling runs the reverse
process, which reveals a masked token with probability 1 − γ(s)/γ(t). The network does not depend on time (RADD).
"""

from mgbench.hookspecs import hookimpl
from mgbench.interfaces.bibtex import by_key
from mgbench.recipes.recipe import Recipe

# The choices of the papers; codes and budget are those of similar methods on the digits. Images may have no
# masked token.
MDM = Recipe.of(
    tokenizer="kmeans(codes=128, size=2)",
    network="transformer",
    head="categorical",
    mask_schedule="linear",
    masking="bernoulli(draws=antithetic, at_least=0)",
    loss_weighting="elbo(per=token)",
    sampler="ancestral",
    guidance_schedule="none",
    train_steps=1800,
    ema=0.998,
)

BIBTEX = r"""
@misc{sahoo2024simple,
  title = {Simple and Effective Masked Diffusion Language Models},
  author = {Sahoo, Subham Sekhar and Arriola, Marianne and Schiff, Yair and Gokaslan, Aaron and
    Marroquin, Edgar and Chiu, Justin T. and Rush, Alexander and Kuleshov, Volodymyr},
  year = {2024},
  eprint = {2406.07524},
  archivePrefix = {arXiv},
}

@misc{shi2024simplified,
  title = {Simplified and Generalized Masked Diffusion for Discrete Data},
  author = {Shi, Jiaxin and Han, Kehang and Wang, Zhe and Doucet, Arnaud and Titsias, Michalis K.},
  year = {2024},
  eprint = {2406.04329},
  archivePrefix = {arXiv},
}

@misc{ou2024absorbing,
  title = {Your Absorbing Discrete Diffusion Secretly Models the Conditional Distributions of Clean Data},
  author = {Ou, Jingyang and Nie, Shen and Xue, Kaiwen and Zhu, Fengqi and Sun, Jiacheng and Li, Zhenguo and Li, Chongxuan},
  year = {2024},
  eprint = {2406.03736},
  archivePrefix = {arXiv},
}
"""


@hookimpl
def mgbench_recipes() -> dict[str, Recipe]:
    # MD4 samples with a cosine time grid and the same model.
    return {"mdm": MDM, "mdm-cosine": MDM.change(time_grid="cosine")}


@hookimpl
def mgbench_references() -> dict[str, str]:
    return by_key(BIBTEX)
