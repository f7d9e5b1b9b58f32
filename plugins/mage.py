"""MAGE: masked generative encoder to unify representation learning and image synthesis (Li et al., arXiv:2211.09117).

Codes, and an MAE-style encoder of visible tokens; the masked share is drawn from a normal distribution with mean 0.55,
truncated below 0.5; images are generated without labels, with MaskGIT's parallel decoding. Here each image has its own
share (in the official code, each batch), and the encoder has no masked tokens (the official one drops at most half of
the tokens).
"""

from mgbench_plugins.maskgit import MASKGIT

from mgbench.hookspecs import hookimpl
from mgbench.interfaces.bibtex import by_key
from mgbench.recipes.recipe import Recipe

# The choices of the paper; codes, budget and choice temperature (6.0 there, for 256 tokens) are those of MaskGIT on the
# digits.
MAGE = MASKGIT.change(network="mae", masking="truncnorm(mean=0.55, std=0.25, low=0.5, high=1)", labels=False)

BIBTEX = r"""
@misc{li2022mage,
  title = {{MAGE}: {MAsked} Generative Encoder to Unify Representation Learning and Image Synthesis},
  author = {Li, Tianhong and Chang, Huiwen and Mishra, Shlok Kumar and Zhang, Han and Katabi, Dina and Krishnan, Dilip},
  year = {2022},
  eprint = {2211.09117},
  archivePrefix = {arXiv},
}
"""


@hookimpl
def mgbench_recipes() -> dict[str, Recipe]:
    return {"mage": MAGE, "mage-labelled": MAGE.change(labels=True)}


@hookimpl
def mgbench_references() -> dict[str, str]:
    return by_key(BIBTEX)
