"""Images, tokens and weights of built components, read once a process."""

from functools import cache
from typing import Any

from mgbench.interfaces.components import Dataset, Extractor, Parts, Tokenizer
from mgbench.interfaces.data import ImageData, TokenSpace


def token_space(parts: Parts, data: ImageData) -> TokenSpace:
    """The tokens that the tokenizer makes of these images.

    Raises:
        Unfit: if the tokenizer cannot cut them.
    """
    tokenizer: Any = parts.tokenizer
    return _space(tokenizer, data.shape)


# `Any` here and below, because components have hashes and protocols do not say so.
@cache
def _space(tokenizer: Tokenizer, shape: tuple[int, int, int]) -> TokenSpace:
    space: TokenSpace = tokenizer.build(shape).space
    return space


@cache
def load_images(dataset: Dataset) -> ImageData:
    """The images of a dataset, read once a process."""
    data: ImageData = dataset.load()
    return data


@cache
def extractor_id(extractor: Extractor) -> str:
    """The name of an extractor with its weights."""
    name: str = extractor.build().id
    return name
