"""The released models of eMIGM for ImageNet (You et al., arXiv:2503.07197, Tables 6 and 7): their sizes and settings.

`emigm-l-256` samples in 16 steps and `emigm-l-256-128steps` in 128, as in the two official evaluations, with one model.
The default paths of ImageNet and the autoencoder are `data/imagenet` and `weights/`; change them with `--set
dataset.path=/data/imagenet --set tokenizer.path=/weights/kl16`. `mgbench plan` estimates costs without either. Training
differs from the official code in two points: weight decay also applies to the matrices of the head, and mixed precision
is bfloat16 instead of float16.
"""

from mgbench.components.checkpoints.released import released_emigm
from mgbench.hookspecs import hookimpl
from mgbench.recipes.recipe import Recipe


@hookimpl
def mgbench_recipes() -> dict[str, Recipe]:
    return {name: Recipe.of(**fields) for name, fields in released_emigm().items()}
