"""Layouts that are recognised only to name them in an error message, because no network here can load them."""

from collections.abc import Collection, Mapping
from typing import Any, NoReturn

from torch import Tensor

from mgbench.components.checkpoints.reading import Reading
from mgbench.errors import UserError


class _NoNetwork:
    """A layout without a network here."""

    name = about = needs = ""
    signs: tuple[str, ...] = ()

    def recognise(self, names: Collection[str]) -> bool:
        return all(any(name.startswith(sign) for name in names) for sign in self.signs)

    def read(self, state: Mapping[str, Tensor], source: str, given: Mapping[str, Any]) -> Reading:
        self._refuse(source)

    def write(self, tensors: Mapping[str, Tensor], beside: Mapping[str, Tensor]) -> dict[str, Tensor]:
        self._refuse("this model")

    def _refuse(self, source: str) -> NoReturn:
        raise UserError(
            f"{source} is a checkpoint of {self.about}, whose transformer ({self.needs}) no network here is; its images "
            "can be drawn with its own code and scored with 'mgbench evaluate'"
        )


class DeTokFile(_NoNetwork):
    """The tokenizer of l-DeTok (arXiv:2507.15856), which is read where it lies: `encoder.latent_head`, `decoder.conv_out`."""

    name, about = "detok", "the tokenizer of l-DeTok"
    signs = ("encoder.latent_head", "decoder.decoder_embed", "decoder.conv_out")

    def _refuse(self, source: str) -> NoReturn:
        raise UserError(
            f"{source} is {self.about}, which needs no import; take it as it is, tokenizer=detok(path={source})"
        )


class MaskGitV1(_NoNetwork):
    """The transformer of Maskgit-pytorch (arXiv:2310.14400): `tok_emb`, `pos_emb`, `bias`, `transformer.layers.#.0.fn`."""

    name, about = "maskgit_v1", "Maskgit-pytorch (valeoai, v1)"
    needs = "labels among the codes, a bias for every place"
    signs = ("tok_emb", "pos_emb", "bias", "transformer.layers.")
