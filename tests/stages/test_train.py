import io
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mgbench.components.heads.categorical import Categorical
from mgbench.components.networks.transformers import Transformer
from mgbench.components.processes.masked import Masked
from mgbench.errors import Diverged
from mgbench.interfaces.components import Parts
from mgbench.recipes.recipe import Recipe
from mgbench.stages.train import REPORT_EVERY, Training, TrainStep, batch_rows
from mgbench.testing.toys import Joint, toy_parts

JOINT = Joint.example()
CPU = torch.device("cpu")
RECIPE = Recipe(train_steps=50, batch_size=16, learning_rate=1e-2, warmup_steps=5, precision="float32")
LABELS = torch.arange(100) % 2
CHANCES = torch.stack([JOINT.of(label) for label in LABELS.tolist()])
TOKENS = JOINT.outcomes[CHANCES.multinomial(1, generator=torch.Generator().manual_seed(0))[:, 0]]


def training(recipe: Recipe = RECIPE, **parts: Any) -> Training:
    chosen = toy_parts(
        JOINT,
        **{"network": Transformer(width=16, depth=1, dropout=0.1), "head": Categorical(), "process": Masked()} | parts,
    )
    torch.manual_seed(0)
    model = chosen.process.build(chosen, JOINT.space, JOINT.classes)
    return Training(recipe, chosen, model, CPU)


def finish(started: Training) -> list[TrainStep]:
    return list(started.run(TOKENS, LABELS))


def same(first: dict[str, Any], second: dict[str, Any]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first) and first.keys() == second.keys()


@pytest.mark.parametrize(("batch", "count"), [(16, 100), (7, 100), (100, 100), (64, 10), (1, 3)])
def test_every_epoch_sees_every_row_once(batch: int, count: int) -> None:
    steps = -(-3 * count // batch)
    rows = torch.cat([batch_rows(0, step, batch, count) for step in range(steps)])
    assert len(rows) == steps * batch
    epochs = rows[: 3 * count].reshape(3, count)
    assert (epochs.sort(1).values == torch.arange(count)).all()
    if count > 3:
        assert not torch.equal(epochs[0], epochs[1])


def test_the_order_is_that_of_the_seed() -> None:
    assert torch.equal(batch_rows(1, 3, 16, 100), batch_rows(1, 3, 16, 100))
    assert not torch.equal(batch_rows(1, 3, 16, 100), batch_rows(2, 3, 16, 100))


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
    assert same(first.average.state_dict(), second.average.state_dict())


def test_a_training_that_was_killed_goes_on_as_if_it_had_not_been() -> None:
    whole = training()
    expected = finish(whole)
    first = training()
    next(first.run(TOKENS, LABELS))
    saved = io.BytesIO()
    torch.save(first.state(), saved)
    del first
    saved.seek(0)
    second = training()
    second.restore(torch.load(saved, weights_only=True))
    assert second.step == REPORT_EVERY
    rest = finish(second)
    assert [(step.step, step.loss) for step in rest] == [(step.step, step.loss) for step in expected[1:]]
    assert same(whole.model.state_dict(), second.model.state_dict())
    assert same(whole.average.state_dict(), second.average.state_dict())
    assert second.seconds > 0


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

    monkeypatch.setattr(Training, "_advance", advance)
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
    for ema in (0.9, 0.5):
        started = training(RECIPE.change(ema=ema, train_steps=1))
        name, _ = next(iter(started.model.named_parameters()))
        expected = started.model.get_parameter(name).detach().clone()
        for step in range(30):
            started.recipe = started.recipe.change(train_steps=step + 1)
            finish(started)
            now = started.model.get_parameter(name).detach()
            decay = min(ema, (1 + step) / (10 + step))
            expected = now.clone() if step == 0 else decay * expected + (1 - decay) * now
        torch.testing.assert_close(started.average.module.get_parameter(name).detach(), expected, rtol=1e-4, atol=1e-6)


def rates(recipe: Recipe) -> list[float]:
    started = training(recipe.change(train_steps=1))
    seen = []
    for step in range(recipe.train_steps):
        seen.append(started.rate.get_last_lr()[0])
        started.recipe = recipe.change(train_steps=step + 1)
        finish(started)
    return seen


def test_the_rate_warms_up_and_stays() -> None:
    seen = rates(RECIPE.change(train_steps=12, warmup_steps=4))
    assert seen[:5] == pytest.approx([0.0025, 0.005, 0.0075, 0.01, 0.01])
    assert seen[-1] == pytest.approx(0.01)


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
        gradients = [parameter.grad for parameter in started.model.parameters() if parameter.grad is not None]
        norms.append(float(nn.utils.get_total_norm(gradients)))
        return step(*options, **others)

    started.optimizer.step = noting
    finish(started)
    assert norms == pytest.approx([0.5], rel=1e-3)
