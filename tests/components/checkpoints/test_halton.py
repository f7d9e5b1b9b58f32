"""Checkpoints of Halton-MaskGIT, against a second writing of its transformer under its own names."""

from collections.abc import Callable

import pytest
import torch

from mgbench.components.checkpoints.halton import HaltonLayout
from mgbench.components.heads.categorical import Categorical
from mgbench.components.networks.adaptive import AdaptiveTransformer
from mgbench.components.processes.masked import MaskedModel
from mgbench.errors import UserError
from mgbench.interfaces.data import UNLABELLED, TokenSpace
from tests.halton import State, layout, logits

HEADS = {"heads": 3}
LAYOUT = HaltonLayout()


@torch.no_grad()
def test_the_network_says_what_the_official_names_say() -> None:
    """Also where heads are together narrower than the network, as in the official small model (510 of 512)."""
    state = layout()
    found = LAYOUT.read(state, "halton.pth", HEADS)
    assert (found.space, found.classes) == (TokenSpace(16, 0, 16, (4, 4)), 10)
    assert found.fields["network"] == "adaptive_transformer(width=32, depth=2, heads=3, registers=1)"
    network = AdaptiveTransformer(32, 2, 3).build(found.space, found.classes)
    model = MaskedModel(network, Categorical().build(found.space, 32)).eval()
    model.load_state_dict(dict(found.tensors))
    made = torch.Generator().manual_seed(1)
    codes, mask = torch.randint(16, (4, 16), generator=made), torch.rand(4, 16, generator=made) < 0.5
    labels = torch.tensor([3, 0, 9, UNLABELLED])
    ours = model.head.logits(network(codes, mask, labels))  # type: ignore[operator]
    theirs = logits(state, codes.masked_fill(mask, 16), labels.where(labels >= 0, 10), 3)[..., :16]
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5 * float(theirs.abs().max()))


def test_what_is_written_is_what_was_read() -> None:
    state = layout()
    found = LAYOUT.read(state, "halton.pth", HEADS)
    again = LAYOUT.write(found.tensors, found.beside)
    assert again.keys() == state.keys()
    assert all(torch.equal(again[name], state[name]) for name in state)


@pytest.mark.parametrize(
    ("width", "depth", "length", "heads", "millions"),
    [(384, 6, 256, 6, 23.03), (512, 12, 256, 6, 69.34), (768, 12, 256, 12, 142.2), (1024, 24, 576, 16, 480)],
)
def test_the_official_sizes_have_the_published_numbers_of_parameters(
    width: int, depth: int, length: int, heads: int, millions: float
) -> None:
    space = TokenSpace(length, 0, 16384)
    with torch.device("meta"):
        network = AdaptiveTransformer(width, depth, heads).build(space, 1000)
        model = MaskedModel(network, Categorical().build(space, width))
        state = {name: value for name, value in model.state_dict().items() if "head" not in name}
    # The output is tied to the embeddings, and has a bias for each code and for the mask.
    count = sum(value.numel() for value in state.values()) + 16385
    assert count / 1e6 == pytest.approx(millions, rel=5e-4 if millions < 400 else 5e-3)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda state: {name: state[name] for name in state if "ff.w2" not in name},
            r"lacks .*layers\.\{0,1\}\.ff\.w2",
        ),
        (lambda state: {**state, "in_proj.weight": torch.zeros(2)}, r"also has in_proj\.weight"),
        (lambda state: {**state, "head.bias": torch.zeros(3)}, r"head\.bias \(3 instead of 17\)"),
        (lambda state: {**state, "head.weight": torch.zeros(17, 32)}, r"head\.weight is not tok_emb\.weight"),
        (lambda state: {**state, "head.bias": torch.full((17,), torch.nan)}, r"not finite in head\.bias"),
    ],
)
def test_what_does_not_fit_is_named(change: Callable[[State], State], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        LAYOUT.read(change(layout()), "halton.pth", HEADS)


def test_heads_that_no_shape_tells_are_asked_for() -> None:
    with pytest.raises(UserError, match=r"32 wide, which is no released size.*--set network.heads=N"):
        LAYOUT.read(layout(), "halton.pth", {})
    with pytest.raises(UserError, match=r"must be at least the number of heads .*--set network.heads=N"):
        LAYOUT.read(layout(), "halton.pth", {"heads": 33})
    with pytest.raises(UserError, match=r"attn\.w\w\.weight \(.*30.* instead of .*28"):
        LAYOUT.read(layout(), "halton.pth", {"heads": 4, "width": 32} | {"heads": 14})


def test_models_whose_output_is_not_tied_are_not_written() -> None:
    found = LAYOUT.read(layout(), "halton.pth", HEADS)
    with pytest.raises(UserError, match="as in every model that was trained here"):
        LAYOUT.write({**found.tensors, "head.logits.weight": torch.zeros(16, 32)}, {})
    with pytest.raises(UserError, match="none of the adaptive_transformer network"):
        LAYOUT.write({"network.embed.weight": torch.zeros(2)}, {})
    assert float(LAYOUT.write(found.tensors, {})["head.bias"][-1]) == -1e4, "the mask is never drawn"
