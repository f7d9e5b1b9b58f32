import pytest
import torch
from mgbench_plugins.mage import MAGE, mgbench_recipes

from mgbench.components.schedules.mask_schedules import Cosine
from mgbench.registry.resolve import assemble
from tests.laws.registered import registry


@pytest.mark.parametrize("name", sorted(mgbench_recipes()))
def test_its_recipes_can_be_put_together(name: str) -> None:
    assembly = assemble(registry(), registry().recipes["mage"][name])
    assert assembly.unfit == ""
    assert assembly.classes == (10 if name == "mage-labelled" else 0)


def test_it_masks_at_least_half_of_an_image_and_another_share_in_each() -> None:
    mask, _ = assemble(registry(), MAGE).parts.masking.draw(Cosine(), 400, 256, torch.Generator().manual_seed(0))
    counts = mask.sum(1)
    assert counts.min() >= 128
    assert counts.float().mean().item() / 256 == pytest.approx(0.694, abs=0.02)
    assert len(counts.unique()) > 60
