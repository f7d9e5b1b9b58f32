import io
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from mgbench.components.heads.categorical import Categorical
from mgbench.components.networks.transformers import MAE, Transformer
from mgbench.components.processes.masked import Masked
from mgbench.errors import Diverged
from mgbench.interfaces.components import Parts
from mgbench.interfaces.ranks import ALONE, Team
from mgbench.recipes.recipe import Recipe
from mgbench.stages.optimizer import learning_rate
from mgbench.stages.train import REPORT_EVERY, Training, TrainStep, _seed_global
from mgbench.testing.toys import Joint, toy_parts

JOINT = Joint.example()
CPU = torch.device("cpu")
RECIPE = Recipe(train_steps=50, batch_size=16, learning_rate=1e-2, warmup_steps=5, precision="float32")
LABELS = torch.arange(100) % 2
CHANCES = torch.stack([JOINT.of(label) for label in LABELS.tolist()])
TOKENS = JOINT.outcomes[CHANCES.multinomial(1, generator=torch.Generator().manual_seed(0))[:, 0]]


def training(recipe: Recipe = RECIPE, **parts: Any) -> Training:
    return toy_training(recipe, ALONE, **parts)


def toy_training(recipe: Recipe, team: Team, **parts: Any) -> Training:
    """A training of the toy, whose network draws dropout too."""
    chosen = toy_parts(
        JOINT,
        **{"network": Transformer(width=16, depth=1, dropout=0.1), "head": Categorical(), "process": Masked()} | parts,
    )
    torch.manual_seed(0)
    model = chosen.process.build(chosen, JOINT.space, JOINT.classes)
    return Training(recipe, chosen, model, CPU, team)


def finish(started: Training) -> list[TrainStep]:
    return list(started.run(TOKENS, LABELS))


def same(first: dict[str, Any], second: dict[str, Any]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first) and first.keys() == second.keys()


def test_the_arithmetic_grows_by_that_of_a_step() -> None:
    steps = finish(training())
    per_step = [step.flops / step.step for step in steps]
    assert per_step[0] > 0
    assert per_step == pytest.approx([per_step[0]] * len(steps))


def test_training_learns() -> None:
    """Images of three equal codes: a visible token tells the others, so ln 3 is left only where all are masked."""
    equal = TOKENS[:, :1].expand(-1, 3)
    steps = list(training(RECIPE.change(train_steps=200)).run(equal, LABELS))
    # With N = 3 and independent masks, E[3t³]/E[3t] = 1/2 of the masked tokens lie in images that are all masked.
    assert steps[0].loss > steps[-1].loss + 0.1
    assert steps[-1].loss == pytest.approx(math.log(3) / 2, abs=0.15)


def test_reports_come_regularly_and_at_the_end() -> None:
    steps = finish(training())
    assert [step.step for step in steps] == [REPORT_EVERY, 2 * REPORT_EVERY, 50]
    assert all(step.learning_rate == pytest.approx(1e-2) for step in steps)
    assert steps[0].seconds <= steps[1].seconds <= steps[2].seconds


def test_the_same_recipe_gives_the_same_model() -> None:
    first, second = training(), training()
    finish(first)
    # What else the process draws must not matter.
    torch.manual_seed(99)
    finish(second)
    assert same(first.model.state_dict(), second.model.state_dict())
    assert same(first.weights()[0.999], second.weights()[0.999])


def test_dropout_draws_as_after_a_seed_of_pytorch() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    _seed_global(5, torch.device("cpu"))
    assert torch.equal(torch.rand(3), expected)


SETTINGS: dict[str, dict[str, Any]] = {
    "as usual": {},
    "a cosine": {"lr_decay": "cosine"},
    "in two parts": {"accumulate": 2},
    "two averages": {"ema": (0.99, 0.0)},
    "bfloat16": {"precision": "bfloat16"},
    "float16": {"precision": "float16"},
    "recomputed": {"recompute": True},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_a_training_that_was_killed_goes_on_as_if_it_had_not_been(settings: dict[str, Any]) -> None:
    """The same batches and random numbers, so the same loss from the first step on, and in the end the same weights."""
    recipe = RECIPE.change(**settings)
    whole = training(recipe)
    expected = finish(whole)
    first = training(recipe)
    next(first.run(TOKENS, LABELS))
    saved = io.BytesIO()
    torch.save(first.state(), saved)
    expected_next = float(first.advance(TOKENS, LABELS, torch.Generator()))
    del first
    second, third = training(recipe), training(recipe)
    for started in (second, third):
        saved.seek(0)
        started.restore(torch.load(saved, weights_only=True))
    assert second.step == REPORT_EVERY
    assert float(third.advance(TOKENS, LABELS, torch.Generator())) == expected_next
    rest = finish(second)
    assert [(step.step, step.loss) for step in rest] == [(step.step, step.loss) for step in expected[1:]]
    assert same(whole.model.state_dict(), second.model.state_dict())
    assert all(same(weights, second.weights()[share]) for share, weights in whole.weights().items())
    assert second.seconds > 0


@pytest.mark.parametrize(
    "other",
    [
        {"ema": (0.99,)},
        {"recipe": RECIPE, "network": Transformer(width=32, depth=1)},
        {"recipe": RECIPE, "network": Transformer(width=16, depth=2)},
    ],
)
def test_the_state_of_another_training_is_refused_and_changes_nothing(other: dict[str, Any]) -> None:
    recipe = other.pop("recipe", None) or RECIPE.change(**other)
    state = training(recipe, **(other if "network" in other else {})).state()
    started, untouched = training(), training()
    with pytest.raises(ValueError, match="it is the state of another training"):
        started.restore(state)
    assert same(started.model.state_dict(), untouched.model.state_dict())


def test_blocks_that_are_computed_again_change_no_number() -> None:
    for network in (Transformer(width=16, depth=2, dropout=0.1), MAE(width=16, depth=1, dropout=0.1)):
        usual, again = (training(RECIPE.change(recompute=again), network=network) for again in (False, True))
        assert [step.loss for step in finish(usual)] == [step.loss for step in finish(again)]
        assert same(usual.model.state_dict(), again.model.state_dict())


def test_blocks_that_are_computed_again_keep_only_what_goes_into_them() -> None:
    kept: dict[bool, int] = {}
    for again in (False, True):
        started = training(RECIPE.change(recompute=again), network=Transformer(width=16, depth=4))
        sizes: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda one, sizes=sizes: sizes.append(one.nbytes) or one, lambda one: one
        ):
            started.loss(TOKENS[:16], LABELS[:16], torch.Generator())
        kept[again] = sum(sizes)
    assert kept[True] < kept[False] / 3


@pytest.mark.slow
def test_compiled_blocks_train_as_they_are_written() -> None:
    """Up to the order of sums; an encoder that sees fewer tokens in each step runs in the same compiled blocks."""
    network = MAE(width=16, depth=1)
    usual, compiled = (training(RECIPE.change(compile=how), network=network) for how in ("off", "on"))
    expected, found = (torch.tensor([step.loss for step in finish(one)]) for one in (usual, compiled))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=0)
    assert usual.flops == compiled.flops


@pytest.mark.parametrize(("precision", "error"), [("bfloat16", 0.02), ("float16", 0.005)])
def test_short_precision_moves_the_loss_by_no_more_than_is_said(precision: str, error: float) -> None:
    """Weights, averages and the optimizer stay float32; the share by which the loss of a training may differ is in the docs."""
    usual, short = (training(RECIPE.change(precision=one)) for one in ("float32", precision))
    expected, found = (torch.tensor([step.loss for step in finish(one)]) for one in (usual, short))
    assert not torch.equal(found, expected)
    torch.testing.assert_close(found, expected, rtol=error, atol=0)
    assert all(value.dtype == torch.float32 for value in short.model.parameters())


def test_a_step_whose_gradients_overflow_float16_is_left_out() -> None:
    class Steep(Masked):
        def loss(self, *options: Any) -> Tensor:
            return 1e34 * super().loss(*options)

    started = training(RECIPE.change(train_steps=1, precision="float16"), process=Steep())
    before = {name: value.clone() for name, value in started.model.state_dict().items()}
    finish(started)
    assert same(started.model.state_dict(), before)
    assert started.scaler.get_scale() == 2**15


def test_a_batch_in_parts_has_the_gradients_of_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each part is that of a rank that would go through it; here gradients of them one by one."""
    in_parts = training(RECIPE.change(accumulate=4))
    in_parts._backward(TOKENS, LABELS, torch.Generator())
    expected: dict[str, Tensor] = {}
    for rank in range(4):
        one = training()
        one.team = Team(rank, 4)
        one._backward(TOKENS, LABELS, torch.Generator())
        for name, value in one.model.named_parameters():
            if value.grad is not None:
                expected[name] = expected.get(name, torch.zeros(())) + value.grad / 4
    for name, value in expected.items():
        torch.testing.assert_close(in_parts.model.get_parameter(name).grad, value, rtol=1e-4, atol=1e-7)


def test_a_batch_without_equal_parts_is_refused() -> None:
    with pytest.raises(ValueError, match="a batch of 16 cannot be divided equally among 1 devices in 3 parts each"):
        finish(training(RECIPE.change(accumulate=3)))


def test_another_seed_gives_another_model() -> None:
    first, second = training(), training(RECIPE.change(seed=1))
    finish(first)
    finish(second)
    assert not same(first.model.state_dict(), second.model.state_dict())


class Breaking(Masked):
    """A loss that stops being a number after 25 steps."""

    def loss(self, model: Any, parts: Parts, tokens: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        model.steps = getattr(model, "steps", 0) + 1
        loss = super().loss(model, parts, tokens, labels, generator)
        return loss * (float("nan") if model.steps > 25 else 1)


def test_a_loss_that_is_no_number_ends_the_training() -> None:
    run = training(process=Breaking()).run(TOKENS, LABELS)
    assert next(run).step == REPORT_EVERY
    with pytest.raises(Diverged, match="the loss became nan by step 40"):
        next(run)


@pytest.mark.parametrize(
    ("first", "then", "explodes"), [(2.0, 1900.0, False), (2.0, 2100.0, True), (-0.5, 1001.0, True)]
)
def test_a_loss_a_thousand_times_as_large_as_at_the_start_ends_the_training(
    monkeypatch: pytest.MonkeyPatch, first: float, then: float, explodes: bool
) -> None:
    """Also of a training that goes on from a checkpoint, which remembers its first loss."""

    def advance(self: Training, *_: Any) -> torch.Tensor:
        self.step += 1
        return torch.tensor(first if self.step <= REPORT_EVERY else then)

    monkeypatch.setattr(Training, "advance", advance)
    started, resumed = training(), training()
    assert next(started.run(TOKENS, LABELS)).loss == pytest.approx(first)
    resumed.restore(started.state())
    if explodes:
        with pytest.raises(Diverged, match=rf"the loss exploded from {first:g} to {then:g} by step 40"):
            next(resumed.run(TOKENS, LABELS))
    else:
        assert next(resumed.run(TOKENS, LABELS)).loss == pytest.approx(then)


def test_the_average_follows_the_weights() -> None:
    """Checked against the recursion written out, for the young average and for the grown one."""
    decays = (0.9, 0.5, 0.0)
    started = training(RECIPE.change(ema=decays, train_steps=1))
    name, start = next(iter(started.model.named_parameters()))
    expected = dict.fromkeys(decays, start.detach())
    for step in range(30):
        started.recipe = started.recipe.change(train_steps=step + 1)
        finish(started)
        now = started.model.get_parameter(name).detach().clone()
        for decay in decays:
            grown = min(decay, (1 + step) / (10 + step)) if step else 0
            expected[decay] = grown * expected[decay] + (1 - grown) * now
    for decay in decays:
        torch.testing.assert_close(started.weights()[decay][name], expected[decay], rtol=1e-4, atol=1e-6)
    assert torch.equal(started.weights()[0.0][name], now)


def test_the_rate_warms_up_and_stays() -> None:
    recipe = RECIPE.change(train_steps=12, warmup_steps=4)
    seen = [learning_rate(step, recipe) for step in range(recipe.train_steps)]
    assert seen[:5] == pytest.approx([0.0025, 0.005, 0.0075, 0.01, 0.01])
    assert seen[-1] == pytest.approx(0.01)


def test_the_rate_falls_along_half_a_cosine() -> None:
    recipe = RECIPE.change(train_steps=12, warmup_steps=4, lr_decay="cosine")
    seen = [learning_rate(step, recipe) for step in range(4, 12)]
    assert seen == pytest.approx([0.005 * (1 + math.cos(math.pi * step / 8)) for step in range(8)])


def test_a_step_is_taken_at_the_rate_that_is_told() -> None:
    """AdamW moves every weight by about the rate in its first step."""
    for warmup in (1, 4):
        started = training(RECIPE.change(train_steps=1, warmup_steps=warmup, weight_decay=0))
        before = started.model.head.logits.weight.detach().clone()
        (step,) = finish(started)
        moved = (started.model.head.logits.weight.detach() - before).abs()
        assert step.learning_rate == pytest.approx(1e-2 / warmup)
        assert float(moved.max()) == pytest.approx(step.learning_rate, rel=1e-3)


def test_only_matrices_decay() -> None:
    started = training(RECIPE.change(weight_decay=0.3))
    matrices, others = started.optimizer.param_groups
    assert matrices["weight_decay"] == 0.3
    assert others["weight_decay"] == 0
    assert all(parameter.ndim > 1 for parameter in matrices["params"])
    assert all(parameter.ndim <= 1 for parameter in others["params"])
    assert len(matrices["params"]) + len(others["params"]) == len(list(started.model.parameters()))


def test_the_gradient_is_clipped() -> None:
    class Steep(Masked):
        def loss(self, *options: Any) -> Tensor:
            return 1e6 * super().loss(*options)

    norms: list[float] = []
    started = training(RECIPE.change(train_steps=1, clip=0.5), process=Steep())
    step = started.optimizer.step

    def noting(*options: Any, **others: Any) -> Any:
        norms.append(float(started.optimizer.gradient.norm()))
        return step(*options, **others)

    started.optimizer.step = noting
    finish(started)
    assert norms == pytest.approx([0.5], rel=1e-3)
