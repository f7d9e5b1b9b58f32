"""Sentences about weights that do not fit stay short and still say where to look."""

import pytest

from mgbench.components.checkpoints.tensor_names import named


def resnet(blocks: tuple[int, ...], layers: tuple[str, ...]) -> list[str]:
    """Names as those of a residual network."""
    inner = [f"layer{i + 1}.{j}.{layer}.weight" for i, n in enumerate(blocks) for j in range(n) for layer in layers]
    return ["conv1.weight", "bn1.weight", "bn1.bias", *inner, "fc.weight", "fc.bias"]


def test_few_names_are_given_one_by_one_and_equal_layers_together() -> None:
    names = ["fc.bias", *(f"blocks.{i}.norm.weight" for i in range(12)), "a.0.w", "a.3.w"]
    assert named("lacks", names) == "lacks a.{0,3}.w, blocks.{0-11}.norm.weight, fc.bias"


def test_many_names_are_counted_by_their_largest_groups() -> None:
    names = resnet((3, 4, 6, 3), ("conv1", "bn1", "conv2", "bn2", "conv3", "bn3"))
    assert named("lacks", names) == (
        "lacks 101 tensors: 96 of layer{1-4}.{0-5} (such as layer1.0.bn1.weight), 2 of bn1 (such as bn1.bias), "
        "2 of fc (such as fc.bias), conv1.weight"
    )


def test_groups_go_below_a_prefix_that_all_names_share() -> None:
    odd = [(i, j) for i in range(6) for j in range(6) if (i + j) % 2]
    names = [f"network.blocks.{i}.{part}.{j}.bias" for i, j in odd for part in ("attn", "norm", "mlp")]
    names.remove("network.blocks.0.norm.1.bias")
    said = named("also has", names)
    assert said.startswith("also has 53 tensors: 18 of network.blocks.{0-5}.attn.{0-5}.bias (such as")
    assert said.endswith("17 of network.blocks.{0-5}.norm.{0-5}.bias (such as network.blocks.0.norm.3.bias)")


def test_a_group_says_the_first_description_and_the_rest_is_counted() -> None:
    names = {f"{part}{'x' * 90}.weight": f"{place} instead of 3" for place, part in enumerate("abcdefg")}
    said = named("has in other shapes", names)
    assert f"a{'x' * 90}.weight (0 instead of 3)" in said
    assert said.endswith(" and 3 more")
    odd = {
        f"{part}{i}.{j}.weight": "2 instead of 3" for part in "ab" for i in range(40) for j in range(40) if (i + j) % 2
    }
    assert "800 of a{0-39}.{0-39}.weight (such as a0.1.weight, 2 instead of 3)" in named("has in other shapes", odd)


@pytest.mark.parametrize("names", [(), {}])
def test_nothing_is_said_of_no_names(names: object) -> None:
    assert named("lacks", names) == ""  # type: ignore[arg-type]


def test_a_sentence_about_another_network_is_short() -> None:
    """Names of 400 layers that have nothing in common."""
    names = [f"{chr(97 + i % 26)}{'abc'[i % 3]}{chr(97 + i // 26)}.weight" for i in range(400)]
    assert len(named("lacks", names)) < 300
