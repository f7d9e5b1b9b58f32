"""Checkpoints of the official code of Halton-MaskGIT (arXiv:2503.17076), converted to our names.

A checkpoint is a dictionary with `model_state_dict`. The output layer is tied to the embeddings of the codes, and has one
logit more, of the mask. It is not used here, so that codes are drawn as the official code would draw them if it drew no mask
(it turns a mask that it draws into the last code).
"""

import math
import re
from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor

from mgbench.components.checkpoints.exact import refuse_differences, refuse_numbers, said_shape
from mgbench.components.checkpoints.reading import Reading
from mgbench.components.checkpoints.renaming import Renaming
from mgbench.components.heads.categorical import Categorical
from mgbench.components.networks.adaptive import AdaptiveTransformer
from mgbench.components.processes.masked import MaskedModel
from mgbench.errors import UserError
from mgbench.interfaces.data import TokenSpace

NAMES = Renaming(
    (
        ("transformer.layers.#.mlp.1.", "network.blocks.#.modulation."),
        ("transformer.layers.#.ln", "network.blocks.#.norm"),
        ("transformer.layers.#.attn.wq.", "network.blocks.#.attn.query."),
        ("transformer.layers.#.attn.wk.", "network.blocks.#.attn.key."),
        ("transformer.layers.#.attn.wv.", "network.blocks.#.attn.value."),
        ("transformer.layers.#.attn.wo.", "network.blocks.#.attn.out."),
        ("transformer.layers.#.ff.w1.", "network.blocks.#.mlp.gate."),
        ("transformer.layers.#.ff.w2.", "network.blocks.#.mlp.down."),
        ("transformer.layers.#.ff.w3.", "network.blocks.#.mlp.up."),
        ("last_norm.norm_final.weight", "network.norm.weight"),
        ("last_norm.norm_final.bias", "network.norm_bias"),
        ("last_norm.mlp.1.", "network.modulation."),
    )
)
# Tensors that are cut or joined: the last row of the first two is of the mask and of "no label".
_CODES, _CLASSES, _PLACES, _REGISTERS = "tok_emb.weight", "cls_emb.weight", "pos_emb.weight", "reg_tokens.weight"
_OUT, _BIAS = "head.weight", "head.bias"
_SIGNS = (_CODES, _CLASSES, _PLACES, _REGISTERS, "transformer.layers.0.attn.wq.weight")
# Attention heads of the official sizes, by width.
_HEADS = {384: 6, 512: 6, 768: 12, 1024: 16, 1152: 16}
# The weight w of the official guidance, (1 + w)·conditional − w·unconditional, by width.
_GUIDANCE = {384: 1.5, 512: 1.0, 768: 0.7, 1024: 0.5}
# The logit of the mask in files of models that were trained here: never drawn.
_NEVER = -1e4


class HaltonLayout:
    """The layout of Halton-MaskGIT (valeoai, v2)."""

    name, about = "maskgit_v2", "Halton-MaskGIT (valeoai, v2)"

    def recognise(self, names: Collection[str]) -> bool:
        return sum(sign in names for sign in _SIGNS) > len(_SIGNS) // 2

    def read(self, state: Mapping[str, Tensor], source: str, given: Mapping[str, Any]) -> Reading:
        """Read the model in a state dict of tensors of any shape; `given` may have `heads` of the network.

        Raises:
            UserError: if a tensor is missing, unexpected, misshapen or not finite, or the output is not tied.
        """
        refuse_differences(source, {*_SIGNS, _OUT, _BIAS} - state.keys())
        network, space, classes = _sizes(state, _heads(state, source, given), source)
        with torch.device("meta"):
            built = MaskedModel(network.build(space, classes), Categorical().build(space, network.width))
        wanted = _joined(built.state_dict(), torch.zeros(int(space.codes or 0) + 1))
        differing = {name for name in wanted.keys() & state.keys() if wanted[name].shape != state[name].shape}
        shapes = {
            name: f"{said_shape(state[name].shape)} instead of {said_shape(wanted[name].shape)}" for name in differing
        }
        refuse_differences(source, wanted.keys() - state.keys(), state.keys() - wanted.keys(), shapes)
        refuse_numbers(source, state)
        if not torch.equal(state[_OUT], state[_CODES]):
            raise UserError(f"{source} does not fit: {_OUT} is not {_CODES}, which it is tied to; get it again")
        return Reading(_fields(network), _parted(state), classes, space, {_BIAS: state[_BIAS]})

    def write(self, tensors: Mapping[str, Tensor], beside: Mapping[str, Tensor]) -> dict[str, Tensor]:
        odd = [name for name in tensors if NAMES.theirs(name) is None and name not in _PARTED]
        if odd or not tensors.keys() >= _PARTED:
            raise UserError(
                "this model is none of the adaptive_transformer network with the categorical head, which the layout of "
                "Halton-MaskGIT stores" + (f": it has {odd[0]}" if odd else "")
            )
        if not torch.equal(tensors["head.logits.weight"], tensors["network.embed.weight"]):
            raise UserError(
                "the layout of Halton-MaskGIT stores the weights of the head and the embeddings of the codes as one, and in "
                "this model they differ, as in every model that was trained here"
            )
        bias = tensors["head.logits.bias"]
        return _joined(tensors, beside.get(_BIAS, torch.cat([bias, bias.new_full((1,), _NEVER)])))


# Our names of the tensors that are joined.
_PARTED = frozenset(
    (
        *("network.embed.weight", "network.mask_token", "network.label.classes.weight", "network.class_token"),
        *("network.positions", "network.registers", "head.logits.weight", "head.logits.bias"),
    )
)


def _heads(state: Mapping[str, Tensor], source: str, given: Mapping[str, Any]) -> int:
    width = state[_CLASSES].shape[1]
    heads = given.get("heads") or _HEADS.get(width)
    if heads is None:
        raise UserError(
            f"{source} is {width} wide, which is no released size, and how many heads its attention has no shape tells; "
            "give them with --set network.heads=N"
        )
    return int(heads)


def _sizes(state: Mapping[str, Tensor], heads: int, source: str) -> tuple[AdaptiveTransformer, TokenSpace, int]:
    codes, width = state[_CODES].shape
    length, side = len(state[_PLACES]), math.isqrt(len(state[_PLACES]))
    layers = [int(found[1]) for name in state if (found := re.match(r"transformer\.layers\.(\d+)\.", name))]
    try:
        network = AdaptiveTransformer(width, 1 + max(layers), heads, len(state[_REGISTERS]))
    except ValueError as error:
        raise UserError(f"{source}: {error}; give the right number with --set network.heads=N") from None
    return network, TokenSpace(length, 0, codes - 1, (side, side)), len(state[_CLASSES]) - 1


def _parted(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under our names."""
    codes, classes = state[_CODES], state[_CLASSES]
    found = {name: value for theirs, value in state.items() if (name := NAMES.ours(theirs)) is not None}
    return {
        **found,
        "network.embed.weight": codes[:-1],
        "network.mask_token": codes[-1],
        "network.label.classes.weight": classes[:-1],
        "network.class_token": classes[-1],
        "network.positions": state[_PLACES][None],
        "network.registers": state[_REGISTERS][None],
        "head.logits.weight": codes[:-1],
        "head.logits.bias": state[_BIAS][:-1],
    }


def _joined(tensors: Mapping[str, Tensor], bias: Tensor) -> dict[str, Tensor]:
    """The tensors under the official names, with the bias [K + 1] of the output."""
    codes = torch.cat([tensors["network.embed.weight"], tensors["network.mask_token"][None]])
    classes = torch.cat([tensors["network.label.classes.weight"], tensors["network.class_token"][None]])
    found = {name: value for ours, value in tensors.items() if (name := NAMES.theirs(ours)) is not None}
    whole = {_CODES: codes, _CLASSES: classes, _OUT: codes, _BIAS: bias}
    return {**found, **whole, _PLACES: tensors["network.positions"][0], _REGISTERS: tensors["network.registers"][0]}


def _fields(network: AdaptiveTransformer) -> dict[str, Any]:
    """The recipe: sizes, and the official sampling in 32 steps, but for its softmax, whose temperature falls from 1 to 1/1.2."""
    sizes = {name: getattr(network, name) for name in ("width", "depth", "heads", "registers")}
    return {
        "network": f"adaptive_transformer({', '.join(f'{name}={value}' for name, value in sizes.items())})",
        "head": "categorical",
        "mask_schedule": "arccos",
        "sampler": "halton(roll=true)",
        "guidance_schedule": f"constant(scale={1 + _GUIDANCE.get(network.width, 0.5)})",
        "sampling_steps": 32,
    }
