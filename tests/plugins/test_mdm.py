import math

import pytest
import torch
from mgbench_plugins.mdm import MDM, mgbench_recipes

from mgbench.components.processes.masked import Masked
from mgbench.registry.resolve import assemble
from mgbench.testing.toys import Joint, OracleHead, OracleNetwork
from tests.laws.registered import registry


@pytest.mark.parametrize("name", sorted(mgbench_recipes()))
def test_its_recipes_can_be_put_together(name: str) -> None:
    assert assemble(registry(), registry().recipes["mdm"][name]).unfit == ""


def test_the_grid_changes_no_training() -> None:
    keys = {name: assemble(registry(), recipe).keys for name, recipe in mgbench_recipes().items()}
    assert keys["mdm"].training == keys["mdm-cosine"].training
    assert keys["mdm"].run != keys["mdm-cosine"].run


def test_what_it_minimises_is_the_code_length_of_a_token() -> None:
    """In nats; with the true model it comes to the entropy."""
    joint = Joint.example(classes=1, length=4, codes=3)
    parts = assemble(registry(), MDM).parts
    parts.network, parts.head = OracleNetwork(joint), OracleHead()
    generator = torch.Generator().manual_seed(0)
    rows = torch.multinomial(joint.of(0), 60_000, replacement=True, generator=generator)
    model = Masked().build(parts, joint.space, 1)
    labels = torch.zeros(len(rows), dtype=torch.int64)
    with torch.no_grad():
        loss = Masked(label_drop=0).loss(model, parts, joint.outcomes[rows], labels, generator)
    entropy = -(joint.of(0) * joint.of(0).log()).sum().item() / 4
    assert loss.item() == pytest.approx(entropy, rel=0.03)
    assert loss.item() < math.log(3)
