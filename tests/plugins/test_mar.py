import pytest
import torch
from mgbench_plugins.mar import MAR, mgbench_recipes

from mgbench.components.schedules.mask_schedules import Cosine
from mgbench.registry.prepared import token_space
from mgbench.registry.resolve import assemble
from tests.laws.registered import registry


@pytest.mark.parametrize("name", sorted(mgbench_recipes()))
def test_its_recipes_can_be_put_together(name: str) -> None:
    assert assemble(registry(), registry().recipes["mar"][name]).unfit == ""


def test_a_batch_shares_one_share_of_at_least_seven_tenths() -> None:
    masking, generator = assemble(registry(), MAR).parts.masking, torch.Generator().manual_seed(0)
    for _ in range(100):
        mask, t = masking.draw(Cosine(), 8, 256, generator)
        counts = mask.sum(1)
        assert (counts == counts[0]).all()
        assert 180 <= int(counts[0]) <= 256
        assert int(counts[0]) == torch.ceil(256 * Cosine()(t[0].double()) - 1e-4)


def test_without_a_label_it_has_a_token_of_its_own() -> None:
    assembly = assemble(registry(), MAR)
    network = assembly.parts.network.build(token_space(assembly.parts, assembly.data), assembly.classes)
    assert network.class_token is not None


def test_guidance_changes_no_training() -> None:
    keys = {name: assemble(registry(), recipe).keys for name, recipe in mgbench_recipes().items()}
    assert keys["mar"].training == keys["mar-unguided"].training
    assert keys["mar"].run != keys["mar-unguided"].run
