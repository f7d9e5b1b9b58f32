"""The released models of MAR for ImageNet (Li et al., arXiv:2406.11838): sizes and settings of the official README.

`mar-b-256`, `mar-l-256` and `mar-h-256` use 256 steps with linear guidance of 2.9, 3.0 and 3.2. For the paths of data
and autoencoder, and for differences in training, see `emigm_imagenet`.
"""

from mgbench.components.checkpoints.released import released_mar
from mgbench.hookspecs import hookimpl
from mgbench.recipes.recipe import Recipe


@hookimpl
def mgbench_recipes() -> dict[str, Recipe]:
    return {name: Recipe.of(**fields) for name, fields in released_mar().items()}
