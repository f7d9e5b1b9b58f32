"""Images, token spaces and extractor weights, loaded once per process."""

from functools import cache
from typing import Any

from mgbench.interfaces.components import Dataset, Extractor, Parts, Tokenizer
from mgbench.interfaces.data import ImageData, TokenSpace


def token_space(parts: Parts, data: ImageData) -> TokenSpace:
    """The token space of the tokenizer for these images.

    Raises:
        Unfit: if the tokenizer does not support their shape.
    """
    tokenizer: Any = parts.tokenizer
    return _space(tokenizer, data.shape)


# `Any` here and below, because components are hashable, which protocols cannot state.
@cache
def _space(tokenizer: Tokenizer, shape: tuple[int, int, int]) -> TokenSpace:
    space: TokenSpace = tokenizer.build(shape).space
    return space


@cache
def load_images(dataset: Dataset) -> ImageData:
    """The images of a dataset, loaded once per process."""
    data: ImageData = dataset.load()
    return data


@cache
def extractor_id(extractor: Extractor) -> str:
    """The name of an extractor with a hash of its weights."""
    name: str = extractor.build().id
    return name
