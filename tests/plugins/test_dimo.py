from collections.abc import Iterator
from typing import Any

import pytest
import torch
from mgbench_plugins.dimo import OneStep
from torch import Generator, nn
from torch.optim import AdamW

from mgbench.components.heads.categorical import Categorical
from mgbench.components.networks.transformers import MAE, Transformer
from mgbench.errors import Unfit
from mgbench.interfaces.components import Parts
from mgbench.interfaces.data import UNLABELLED
from mgbench.interfaces.randomness import Streams
from mgbench.interfaces.sampling import Request
from mgbench.recipes.recipe import Recipe
from mgbench.stages.train import Training
from mgbench.testing.toys import Joint, toy_parts, toy_teacher

JOINT = Joint.example()
LEARNT = {"network": Transformer(width=32, depth=2, heads=2), "head": Categorical()}


def parts_with_teacher(process: OneStep) -> Parts:
    parts = toy_parts(JOINT, process=process, **LEARNT)
    torch.manual_seed(0)
    return parts.change(teacher=toy_teacher(parts, JOINT.space, JOINT.classes))


@pytest.mark.parametrize("reverse", [0.0, 0.3, 1.0])
def test_the_slope_is_the_gradient_of_the_divergence_in_the_logits(reverse: float) -> None:
    logits = torch.randn(2, 3, 5, dtype=torch.float64, generator=Generator().manual_seed(0)).requires_grad_()
    wanted = torch.randn(2, 3, 5, dtype=torch.float64, generator=Generator().manual_seed(1)).log_softmax(-1)
    known = logits.log_softmax(-1)
    forward = (wanted.exp() * (wanted - known)).sum()
    backward = (known.exp() * (known - wanted)).sum()
    ((1 - reverse) * forward + reverse * backward).backward()
    torch.testing.assert_close(OneStep(reverse=reverse).slope(wanted, known.detach()), logits.grad)


def test_the_slope_is_zero_where_the_laws_are_one() -> None:
    law = torch.randn(2, 3, 5, dtype=torch.float64, generator=Generator().manual_seed(0)).log_softmax(-1)
    assert OneStep(reverse=0.5).slope(law, law).abs().max() < 1e-15


def test_student_and_auxiliary_model_begin_as_the_teacher() -> None:
    process = OneStep()
    parts = parts_with_teacher(process)
    model = process.build(parts, JOINT.space, JOINT.classes)
    process.begin(model, parts)
    tokens, mask, labels = JOINT.outcomes, JOINT.outcomes == 1, torch.zeros(27, dtype=torch.int64)
    taught = parts.teacher.model
    expected = taught.head(taught.network(tokens, mask, labels).flatten(0, 1)).reshape(27, 3, 3)
    assert torch.equal(model(tokens, mask, labels), expected)
    assert torch.equal(model.auxiliary(tokens, mask, labels), expected)


@pytest.mark.parametrize("other", [{"network": MAE(width=32)}, {"head": Categorical(label_smoothing=0.1)}])
def test_a_teacher_of_another_network_or_head_is_refused(other: dict[str, Any]) -> None:
    taught_by = toy_parts(JOINT, **{**LEARNT, **other})
    with pytest.raises(Unfit, match=f"whose {next(iter(other))} is another"):
        OneStep().check_teacher(toy_parts(JOINT, **LEARNT), taught_by)


def test_the_teacher_is_guided() -> None:
    seen: list[int] = []

    class Watched(nn.Module):
        def forward(self, tokens: Any, mask: Any, labels: Any) -> Any:
            seen.extend(labels.tolist())
            return torch.zeros(*tokens.shape, 32)

    process = OneStep(guidance=2.0)
    parts = parts_with_teacher(process)
    model = process.build(parts, JOINT.space, JOINT.classes)
    process.begin(model, parts)
    parts.teacher.model.network = Watched()
    process.loss(model, parts, torch.zeros(2, 3, dtype=torch.int64), torch.tensor([0, 1]), Generator().manual_seed(0))
    assert seen == [0, 1, UNLABELLED, UNLABELLED]


def test_the_auxiliary_model_learns_faster_by_the_factor_of_its_option() -> None:
    process = OneStep(auxiliary_rate=7.0)
    parts = parts_with_teacher(process)
    model = process.build(parts, JOINT.space, JOINT.classes)
    recipe = Recipe(learning_rate=0.25, warmup_steps=0, weight_decay=0.125)
    training = Training(recipe, parts, model, torch.device("cpu"))
    rates = {id(one): group["lr"] for group in training.optimizer.param_groups for one in group["params"]}
    decays = {id(one): group["weight_decay"] for group in training.optimizer.param_groups for one in group["params"]}
    for name, parameter in training.model.named_parameters():
        assert rates[id(parameter)] == (1.75 if name.startswith("auxiliary.") else 0.25), name
        assert decays[id(parameter)] == (0.125 if parameter.ndim > 1 else 0.0), name


def batches(count: int) -> Iterator[tuple[torch.Tensor, torch.Tensor, Generator]]:
    """Images int64 [128,3] of the joint law, their labels int64 [128], and a generator."""
    generator, labels = Generator().manual_seed(0), torch.arange(128) % 2
    laws = torch.stack([JOINT.of(0), JOINT.of(1)])
    for _ in range(count):
        yield JOINT.outcomes[laws[labels].multinomial(1, generator=generator)[:, 0]], labels, generator


def taught(parts: Parts, steps: int) -> None:
    """Train the teacher among the parts by its cross-entropy."""
    model = parts.teacher.model.requires_grad_(True)
    optimizer = AdamW(model.parameters(), lr=3e-3)
    for tokens, labels, generator in batches(steps):
        mask, _ = parts.masking.draw(parts.mask_schedule, *tokens.shape, generator)
        loss = model.head.loss(model.network(tokens, mask, labels)[mask], tokens[mask], generator).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.requires_grad_(False)


def distance(process: OneStep, model: Any, parts: Parts, count: int = 10_000) -> float:
    """Total variation between the law of one-step images of class 0 and the truth."""
    images = Streams.root(0, "images").fold(torch.arange(count))
    request = Request(torch.zeros(count, dtype=torch.int64), 1, images, Streams.root(0, "shared"))
    with torch.no_grad():
        (state,) = process.sample(model, parts, JOINT.space, request)
    seen = torch.bincount((state.tokens * torch.tensor([9, 3, 1])).sum(1), minlength=27).double() / count
    return 0.5 * float((seen - JOINT.of(0)).abs().sum())


@pytest.mark.slow
def test_distillation_brings_one_step_nearer_to_the_joint_law_than_independent_tokens_are() -> None:
    process = OneStep()
    parts = parts_with_teacher(process)
    taught(parts, 400)
    model = process.build(parts, JOINT.space, JOINT.classes)
    process.begin(model, parts)
    optimizer = AdamW(
        [
            {"params": [*model.network.parameters(), *model.head.parameters()], "lr": 3e-4},
            {"params": model.auxiliary.parameters(), "lr": 6e-3},
        ],
        betas=(0.9, 0.95),
        weight_decay=0,
    )
    for tokens, labels, generator in batches(600):
        loss = process.loss(model, parts, tokens, labels, generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    independent = 0.5 * float((JOINT.product(0) - JOINT.of(0)).abs().sum())
    assert distance(process, model.eval(), parts) < 0.75 * independent
