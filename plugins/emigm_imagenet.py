"""The released models of eMIGM for ImageNet (You et al., arXiv:2503.07197, Tables 6 and 7): their sizes and settings.

`emigm-l-256` samples in 16 steps and `emigm-l-256-128steps` in 128, the two runs of the official evaluation, with one model.
ImageNet and the autoencoder are looked for in `data/imagenet` and `weights/`, and are set like any field: `--set
dataset.path=/data/imagenet --set tokenizer.path=/weights/kl16`; `mgbench plan` tells the costs without either. Training differs
from the official one in two things: weight decay also applies to the matrices of the head, and mixed precision is bfloat16
where theirs is float16.
"""

from mgbench.components.checkpoints.released import released_emigm
from mgbench.hookspecs import hookimpl
from mgbench.recipes.recipe import Recipe


@hookimpl
def mgbench_recipes() -> dict[str, Recipe]:
    return {name: Recipe.of(**fields) for name, fields in released_emigm().items()}
