"""Networks and heads against the published code."""

import pytest
import torch
from torch import Tensor

from mgbench.components.heads.diffusion import DiffusionMLP
from mgbench.components.networks.transformers import MAE
from mgbench.components.processes.masked import Masked, MaskedModel
from mgbench.components.schedules.loss_weightings import Elbo, Uniform
from mgbench.components.schedules.mask_schedules import Exp
from mgbench.components.tokenizers.patches import cut, join
from mgbench.interfaces.components import Parts
from mgbench.interfaces.data import UNLABELLED
from tests.golden.official import (
    EMIGM,
    LOSS,
    MODELS,
    SINGLE,
    SPACE,
    Z_AND_HEAD,
    assert_near,
    golden,
    head,
    network,
)

EVERY = pytest.mark.parametrize("name", MODELS)
NETWORKS = pytest.mark.parametrize("name", [*MODELS, SINGLE])


@NETWORKS
def test_z_with_a_label(name: str) -> None:
    file = golden(name)
    assert_near(network(name)(file["x"], file["mask"].bool(), file["labels"]), file["z_cond"], Z_AND_HEAD)


@NETWORKS
def test_z_without_a_label(name: str) -> None:
    file = golden(name)
    none = torch.full_like(file["labels"], UNLABELLED)
    assert_near(network(name)(file["x"], file["mask"].bool(), none), file["z_uncond"], Z_AND_HEAD)


@NETWORKS
def test_both_halves_of_guidance_in_one_batch(name: str) -> None:
    file = golden(name)
    twice = torch.cat([file["x"]] * 2), torch.cat([file["mask"].bool()] * 2)
    z = network(name)(*twice, torch.cat([file["labels"], torch.full_like(file["labels"], UNLABELLED)]))
    assert_near(z, torch.cat([file["z_cond"], file["z_uncond"]]), Z_AND_HEAD)


@pytest.mark.parametrize("name", EMIGM)
def test_z_with_everything_masked(name: str) -> None:
    file = golden(name)
    everything = torch.ones(file["mask"].shape, dtype=torch.bool)
    assert_near(network(name)(file["x"], everything, file["labels"]), file["z_allmasked"], Z_AND_HEAD)


def test_z_in_a_batch_of_different_masks() -> None:
    """The published code needs equal counts in a batch; ours pads, and must give each image what it has alone."""
    file = golden("emigm_tiny_trained")
    masks = torch.cat([file["mask"].bool(), torch.ones(3, 16, dtype=torch.bool)])
    z = network("emigm_tiny_trained")(torch.cat([file["x"]] * 2), masks, torch.cat([file["labels"]] * 2))
    assert_near(z, torch.cat([file["z_cond"], file["z_allmasked"]]), Z_AND_HEAD)


def test_z_through_a_whole_sampling_run() -> None:
    file = golden("emigm_tiny_trained")
    module = network("emigm_tiny_trained")
    before = torch.cat([torch.zeros_like(file["trace.tokens_after"][:1]), file["trace.tokens_after"][:-1]])
    for tokens, mask, z in zip(before, file["trace.mask_before"].bool(), file["trace.z_cond"], strict=True):
        assert_near(module(tokens, mask, file["trace.labels"]), z, Z_AND_HEAD)


def test_another_epsilon_would_be_seen() -> None:
    file, module = golden("emigm_tiny_256"), network("emigm_tiny_256")
    for layer in module.modules():
        if isinstance(layer, torch.nn.LayerNorm):
            layer.eps = 1e-5
    with pytest.raises(AssertionError, match="differs by"):
        assert_near(module(file["x"], file["mask"].bool(), file["labels"]), file["z_cond"], Z_AND_HEAD)


def test_a_padded_slot_would_be_seen() -> None:
    module = MAE(width=32, depth=2, heads=4, class_tokens=3).build(SPACE, 10)
    with pytest.raises(RuntimeError, match="size mismatch"):
        module.load_state_dict(network("emigm_tiny_256").state_dict())


@EVERY
def test_the_head(name: str) -> None:
    file = golden(name)
    eps, value = head(name)(file["head_x"], file["head_t"], file["head_c"])
    assert_near(torch.cat([eps, value], 1), file["head_out"], Z_AND_HEAD)


@pytest.mark.parametrize("name", EMIGM)
def test_the_terms_of_the_loss(name: str) -> None:
    file = golden(name)
    assert (file["tl_t"] == 0).any()
    error, bound = head(name).loss_terms(file["tl_c"], file["tl_target"], file["tl_t"], file["tl_noise"])
    assert_near(error, file["tl_mse"], LOSS)
    assert_near(bound, file["tl_vb"], LOSS)
    assert_near(error + bound, file["tl_loss"], LOSS)


class KnownNoise(DiffusionMLP):
    """A head that trains at the stored times and noise of the masked tokens."""

    times: Tensor
    noise: Tensor

    def loss_terms(self, z: Tensor, values: Tensor, t: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        assert t.shape == self.times.shape
        assert noise.shape == self.noise.shape
        return super().loss_terms(z, values, self.times, self.noise)


class KnownMask:
    """A masking that draws the stored mask and times."""

    def __init__(self, mask: Tensor, t: Tensor) -> None:
        self.known = mask, t

    def draw(self, *_: object) -> tuple[Tensor, Tensor]:
        return self.known


@pytest.mark.parametrize("name", EMIGM)
@pytest.mark.parametrize("kind", ["plain", "weighted_exp"])
def test_the_loss_of_training(name: str, kind: str) -> None:
    file = golden(name)
    mask = file["mask"].bool()
    drawn = mask.flatten().repeat(2)
    known = KnownNoise(4, 32, 32, 2, 2)
    known.load_state_dict(head(name).state_dict())
    known.times, known.noise = file["fl_t"][drawn], file["fl_noise"][drawn]
    parts = Parts(
        masking=KnownMask(mask, file["fl_p_mask"][:, 0]),
        mask_schedule=Exp(5.0),
        loss_weighting=Uniform() if kind == "plain" else Elbo(),
    )
    model = MaskedModel(network(name), known)
    loss = Masked(label_drop=0).loss(model, parts, file["x"], file["labels"], torch.Generator())
    assert_near(loss[None], file[f"fl_loss_{kind}"], LOSS)


def test_the_order_of_patches() -> None:
    file = golden("emigm_tiny_256")
    assert torch.equal(cut(file["img"], 2), file["patchify_p2"])
    assert torch.equal(cut(file["img"], 1), file["patchify_p1"])
    assert torch.equal(join(file["patchify_p2"], (4, 8, 8), 2), file["img"])
