"""MAGE: masked generative encoder to unify representation learning and image synthesis (Li et al., arXiv:2211.09117).

Codes, and an encoder of the visible ones only, as in MAE; the share masked is drawn in every step, from a normal law about 0.55
cut off below 0.5; images are generated without labels, by the parallel decoding of MaskGIT. Here each image has a share of its
own (the official code has one a batch), and the encoder sees no masked token at all (the official one drops at most half).
"""

from mgbench_plugins.maskgit import MASKGIT

from mgbench.hookspecs import hookimpl
from mgbench.interfaces.bibtex import by_key
from mgbench.recipes.recipe import Recipe

# The paper's choices; codes, budget and choice temperature (6.0 there, for 256 tokens) are those of MaskGIT on the digits.
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
