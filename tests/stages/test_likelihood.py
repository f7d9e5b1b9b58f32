import math
from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from mgbench.components.heads.categorical import Categorical
from mgbench.components.processes.masked import Masked
from mgbench.interfaces.data import UNLABELLED, ImageData, TokenSpace
from mgbench.stages.likelihood import Bound, held_out_bound
from mgbench.testing.toys import Joint, toy_parts

JOINT = Joint.example(classes=2, length=4, codes=3)
CPU = torch.device("cpu")


def bound(tokens: Tensor, labels: Tensor, **parts: Any) -> Tensor:
    asked = toy_parts(JOINT, **parts)
    model = Masked().build(asked, JOINT.space, JOINT.classes)
    nats = Masked().bound(model, asked, JOINT.space, tokens, labels, Generator().manual_seed(0))
    assert nats is not None
    return nats


@torch.no_grad()
def test_the_bound_of_the_true_model_is_the_code_length_of_every_image() -> None:
    """The chain rule, in any order: no slack is left where every conditional is right."""
    rng = 3000
    for image in (0, 17, 53, 80):
        tokens = JOINT.outcomes[image].expand(rng, -1)
        nats = bound(tokens, torch.ones(rng, dtype=torch.int64))
        error = float(nats.std()) / math.sqrt(rng)
        assert nats.mean().item() == pytest.approx(-JOINT.of(1)[image].log().item(), abs=4 * error + 1e-9)


class Codes(nn.Module):
    """Images whose pixels are the codes."""

    space = JOINT.space

    def encode(self, images: Tensor) -> Tensor:
        return images.flatten(1).long()


def images(count: int, labelled: bool = True) -> ImageData:
    generator = Generator().manual_seed(1)
    labels = torch.arange(count) % 2 if labelled else None
    laws = JOINT.probabilities.flatten(1)[labels] if labels is not None else JOINT.of(-1).expand(count, -1)
    drawn = JOINT.outcomes[torch.multinomial(laws, 1, generator=generator).squeeze(1)]
    shown = drawn.to(torch.uint8).reshape(count, 1, 2, 2)
    return ImageData(shown, labels, shown, labels, ("a", "b") if labelled else ())


def held_out(data: ImageData, seed: int = 0, **parts: Any) -> Bound:
    asked = toy_parts(JOINT, process=Masked(), **parts)
    module = Masked().build(asked, JOINT.space, JOINT.classes)
    return held_out_bound(asked, module, Codes(), data, seed, CPU)


@pytest.mark.parametrize("labels", [True, False])
def test_bits_per_dimension_of_the_true_model_are_its_code_length(labels: bool) -> None:
    data = images(3000)
    tokens = data.test.flatten(1).long()
    places = (tokens * 3 ** torch.arange(3, -1, -1)).sum(1)
    laws = JOINT.probabilities.flatten(1)[data.test_labels] if labels else JOINT.of(-1).expand(len(tokens), -1)
    exact = -laws.gather(1, places[:, None]).log2().mean().item() / 4
    found = held_out(data, labels=labels)
    error = found.costs["bits_per_dim_error"]
    assert 0 < error < 0.01
    assert found.scores["bits_per_dim"] == pytest.approx(exact, abs=4 * error)


def test_the_standard_error_is_that_of_the_mean_over_masks() -> None:
    data = images(400)
    found = [held_out(data, seed) for seed in range(30)]
    spread = torch.tensor([one.scores["bits_per_dim"] for one in found]).std().item()
    said = sum(one.costs["bits_per_dim_error"] for one in found) / len(found)
    assert said == pytest.approx(spread, rel=0.4)


def test_the_same_seed_gives_the_same_bound_and_a_schedule_changes_nothing() -> None:
    data = images(300)
    assert held_out(data) == held_out(data, mask_schedule=lambda t: t**2)
    assert held_out(data) != held_out(data, seed=1)


def test_a_model_without_labels_is_asked_without() -> None:
    data = images(300, labelled=False)
    seen: list[Tensor] = []
    parts = toy_parts(JOINT, process=Masked())
    module = Masked().build(parts, JOINT.space, 2)
    module.network.register_forward_hook(lambda module, inputs, out: seen.append(inputs[2]))
    held_out_bound(parts, module, Codes(), data, 0, CPU)
    assert all((labels == UNLABELLED).all() for labels in seen)


def test_where_there_is_no_bound_there_is_no_score() -> None:
    class Vectors(Codes):
        space = TokenSpace(4, 2)

    class Silent:
        pass

    data = images(20)
    parts = toy_parts(JOINT, process=Masked())
    module = Masked().build(parts, JOINT.space, 2)
    assert held_out_bound(parts, module, Vectors(), data, 0, CPU) == Bound()
    assert held_out_bound(toy_parts(JOINT, process=Silent()), module, Codes(), data, 0, CPU) == Bound()
    module.head = nn.Identity()
    assert held_out_bound(parts, module, Codes(), data, 0, CPU) == Bound()


def test_label_smoothing_does_not_enter() -> None:
    z, codes = torch.randn(50, 8), torch.randint(5, (50,))
    module = Categorical(label_smoothing=0.3).build(TokenSpace(4, 1, codes=5), 8)
    plain = -functional.cross_entropy(module(z), codes, reduction="none")
    torch.testing.assert_close(module.log_likelihood(z, codes), plain.double())
    assert (module.loss(z, codes, Generator()) + plain).abs().max() > 1e-3
