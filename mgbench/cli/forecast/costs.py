"""Costs of the trials of a plan, as text and as plain values: parameters, tokens, steps, operations, memory and time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mgbench.cli.forecast.estimates import Estimate
from mgbench.cli.forecast.rates import FlopRates, said_flops
from mgbench.errors import UserError, as_sentence, suggestion
from mgbench.results.wording import amount

if TYPE_CHECKING:
    from mgbench.trials.costs import Assumed, TrialCosts
    from mgbench.trials.plan import Row, Trial


@dataclass(frozen=True)
class Counted:
    """The costs of a trial, or the reason why they could not be counted."""

    trial: "Trial"
    costs: "TrialCosts | None"
    reason: str = ""


def assumed(items: Sequence[str] | None) -> "Assumed":
    """The facts that `--assume` gives of data that are not at hand.

    Raises:
        UserError: if it is no such fact, or no number above 0.
    """
    from dataclasses import fields

    from mgbench.trials.costs import Assumed

    known, given = [option.name for option in fields(Assumed)], dict[str, int]()
    for item in (part for text in items or () for part in text.split(",")):
        name, _, value = item.strip().partition("=")
        if name not in known:
            raise UserError(f"--assume knows no {name!r}; {suggestion(name, known)}")
        if not value.isdecimal() or not int(value):
            raise UserError(f"--assume {name} needs a number above 0; write for example --assume {name}=1000")
        given[name] = int(value)
    return Assumed(**given)


def count(trials: "Sequence[Trial]", facts: "Assumed", trained: frozenset[str]) -> list[Counted]:
    """The costs of trials that are about images; what a component raises while they are counted becomes a reason."""
    from mgbench.trials.costs import trial_costs

    found = []
    for trial in trials:
        if trial.about != "images":
            continue
        try:
            found.append(Counted(trial, trial_costs(trial.rows, facts, trial.key in trained)))
        except Exception as error:  # whatever a component raises
            found.append(Counted(trial, None, as_sentence(error)))
    return found


def trials_of_refused(rows: "Sequence[Row]") -> "list[Trial]":
    """Trials of rows whose data or weights cannot be read, as they would run with them."""
    from mgbench.trials.plan import Trial

    groups: dict[str, list[Row]] = {}
    for row in rows:
        if row.about == "images" and row.assembly.refused:
            groups.setdefault(row.trial, []).append(row)
    return [Trial(key, tuple(group)) for key, group in groups.items()]


def estimate(one: Counted, found: "TrialCosts", rates: FlopRates) -> Estimate:
    """The time of a trial, without scoring, at these rates of operations."""
    from mgbench.stages.forecast import Devices, sampling_seconds, training_step

    recipe = one.trial.rows[0].assembly.recipe
    step = training_step(found.model.training_flops, recipe.batch_size, Devices(rates.train))
    train = recipe.train_steps * step.seconds if found.training_flops else 0.0
    return Estimate(train, sampling_seconds(found.sampling_flops, Devices(rates.sample)), None, rates.source)


def lines(one: Counted) -> Iterator[str]:
    """The costs of a trial in words."""
    if one.costs is None:
        yield f"{one.trial.name}: its costs cannot be counted ({one.reason})"
        return
    costs, recipe = one.costs, one.trial.rows[0].assembly.recipe
    space, model = costs.facts.space, costs.model
    tokens = f"codes out of {space.codes}" if space.codes else f"{space.dim} numbers"
    yield f"{one.trial.name}: {model.parameters / 1e6:,.2f} M parameters, {space.length} tokens of {tokens}"
    if costs.training_flops:
        epochs = recipe.train_steps * recipe.batch_size / costs.facts.images
        yield (
            f"  training: {recipe.train_steps:,} steps of {recipe.batch_size:,} images ({epochs:,.3g} epochs), "
            f"{said_flops(model.training_flops)} an image, {said_flops(costs.training_flops)} in all; memory "
            f"{amount(model.training_bytes)} and, in float32, {amount(model.activation_bytes)} for each image at once"
        )
    for row in one.trial.rows:
        each = costs.rows[row.key]
        taken = "1 step" if each["steps_taken"] == 1 else f"{each['steps_taken']:g} steps"
        yield (
            f"  {row.method}: {taken}, NFE {each['nfe']:g}, {each['head_evaluations']:.3g} evaluations of the head a token, "
            f"{said_flops(each['flops_per_image'])} an image, {costs.facts.samples:,} images; weights "
            f"{amount(4 * model.parameters)}"
        )
    if costs.facts.assumed:
        yield f"  assumed: {costs.facts.assumed} (--assume images=N,classes=N,side=N says otherwise)"


def as_values(one: Counted) -> Mapping[str, Any] | None:
    """The costs of a trial as plain values."""
    if one.costs is None:
        return None
    costs = one.costs
    return {
        "parameters": costs.model.parameters,
        "tokens": costs.facts.space.length,
        "numbers": None if costs.facts.space.codes else costs.facts.space.dim,
        "codes": costs.facts.space.codes,
        "training_flops_per_image": costs.model.training_flops,
        "training_flops": costs.training_flops,
        "sampling_flops": costs.sampling_flops,
        "training_bytes": costs.model.training_bytes,
        "activation_bytes_per_image": costs.model.activation_bytes,
        "rows": costs.rows,
        "assumed": costs.facts.assumed,
    }
