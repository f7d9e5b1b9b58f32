"""`mgbench plan`: a preview of a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mgbench.cli.arguments import options, values
from mgbench.cli.output.terminal import notify
from mgbench.cli.study import selection
from mgbench.cli.study.selection import summary
from mgbench.results.wording import counted, duration, shown

if TYPE_CHECKING:
    from rich.table import Table

    from mgbench.cli.forecast.costs import Counted
    from mgbench.cli.forecast.estimates import Estimate
    from mgbench.trials.costs import Assumed, TrialCosts
    from mgbench.trials.plan import Row, Trial

# Rows whose costs are counted unless it is asked for: a row takes a second or so.
COUNTED_ROWS = 24


def plan(
    study_file: options.StudyFile = None,
    plugins: options.Plugins = None,
    set_: options.Set = None,
    vary: options.Vary = None,
    seeds: options.Seeds = None,
    sample_seeds: options.SampleSeeds = None,
    methods: options.Methods = None,
    name: options.Name = "",
    results: options.Results = Path("results"),
    retry_failed: options.RetryFailed = False,
    costs: Annotated[
        bool | None,
        typer.Option(
            "--costs/--no-costs",
            help=f"Count parameters, operations and memory (default: of up to {COUNTED_ROWS} rows).",
            show_default=False,
        ),
    ] = None,
    assume: options.Assume = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with every row and every trial.")] = False,
) -> None:
    """Show every recipe of a study, what is reused or skipped and why, the shared trials, and estimated costs and times.

    Costs are counted without data and without a GPU.
    """
    from mgbench.cli.forecast.costs import assumed

    asked = values.outline(study_file, plugins, set_, vary, seeds, methods, name, sample_seeds)
    facts = assumed(assume)
    chosen = selection.choose(asked, results, retry_failed, refuse=False)
    planned = _planned(chosen, facts, costs)
    if as_json:
        _print_json(chosen, planned)
    else:
        _print(chosen, planned)
    if planned.blocked:
        notify(f"nothing of this can run yet: {planned.blocked}")


@dataclass(frozen=True)
class Planned:
    """The trials of a plan, those that it could not yet run last; their times, and the costs of those that were counted."""

    trials: "list[Trial]"
    times: "list[Estimate]"
    costs: "Mapping[str, Counted]"
    left: int = 0
    # Why nothing of it can run as things are.
    blocked: str = ""


def _planned(chosen: selection.Chosen, facts: "Assumed", wanted: bool | None) -> Planned:
    """The trials with their costs and times.

    Raises:
        UserError: if nothing in the study can be built, nor its costs be counted.
    """
    from mgbench.cli.forecast.costs import count, trials_of_refused
    from mgbench.errors import UserError
    from mgbench.trials.plan import plan_trials

    trials = [*plan_trials(chosen.rows), *trials_of_refused(chosen.rows)]
    images = [row for row in chosen.rows if row.about == "images"]
    broken = images and all(row.assembly.unasked or row.assembly.refused for row in images)
    rows = sum(len(trial.rows) for trial in trials if trial.about == "images")
    counts = rows <= COUNTED_ROWS if wanted is None else wanted
    costs = {one.trial.key: one for one in count(trials, facts, chosen.trained)} if counts else {}
    if broken and not any(one.costs for one in costs.values()):
        raise UserError(images[0].assembly.unfit)
    blocked = images[0].assembly.unfit if broken else ""
    return Planned(trials, _times(chosen, trials, costs), costs, 0 if counts else rows, blocked)


def _times(chosen: selection.Chosen, trials: "Sequence[Trial]", costs: "Mapping[str, Counted]") -> "list[Estimate]":
    """The time of each trial, from stored rows or measured speeds, or from its counted costs and the rates of this device."""
    from mgbench.cli.forecast.costs import estimate
    from mgbench.cli.forecast.estimates import stored_rates
    from mgbench.cli.forecast.rates import device_at_hand, flop_rates
    from mgbench.results.speed import plain_device

    rates = stored_rates(chosen.store.layout, plain_device(device_at_hand()))
    times = [rates.of(trial, trial.key in chosen.trained, _counted(costs, trial)) for trial in trials]
    if not any(time.total is None and _counted(costs, trial) for trial, time in zip(trials, times, strict=True)):
        return times
    # Only now, because the rates of this device may have to be measured.
    speed = flop_rates(rates.every)
    return [
        estimate(costs[trial.key], found, speed) if time.total is None and (found := _counted(costs, trial)) else time
        for trial, time in zip(trials, times, strict=True)
    ]


def _counted(costs: "Mapping[str, Counted]", trial: "Trial") -> "TrialCosts | None":
    return costs[trial.key].costs if trial.about == "images" and trial.key in costs else None


def _print(chosen: selection.Chosen, planned: Planned) -> None:
    from mgbench.cli.forecast.costs import lines
    from mgbench.cli.output.table import console
    from mgbench.cli.study.claims import print_claims

    screen = console()
    screen.print(_table(chosen))
    for trial, time in zip(planned.trials, planned.times, strict=True):
        costs = planned.costs.get(trial.key)
        for line in lines(costs) if costs and trial.about == "images" else ():
            screen.print(line, soft_wrap=True, markup=False, highlight=False)
        if time.total is not None:
            stages = ", ".join(f"{what} {duration(spent)}" for what, spent in _stages(time) if spent is not None)
            screen.print(f"{trial.name}: about {duration(time.total)} ({stages})", soft_wrap=True, markup=False)
    if planned.left:
        said = f"costs of {counted(planned.left, 'row')} are not counted; --costs counts them"
        screen.print(said, soft_wrap=True, markup=False)
    print_claims(screen, chosen.study.claims, chosen.rows)
    screen.print(summary(chosen), soft_wrap=True, markup=False)
    screen.print(_time_in_all(planned.trials, planned.times), soft_wrap=True, markup=False)


def _table(chosen: selection.Chosen) -> "Table":
    """The rows with the fields in which they differ, and what happens to each."""
    from rich.text import Text

    from mgbench.cli.output.table import plain_table

    table, axes = plain_table(f"study {chosen.study.name}"), _axes(chosen)
    for column in ("method", *axes, "steps", "seed", "model", "what happens"):
        numeric = column in ("steps", "seed")
        table.add_column(column, justify="right" if numeric else "left", overflow="fold", no_wrap=numeric)
    for row in chosen.rows:
        fields = [shown(_fields(row, axes)[axis]) for axis in axes]
        numbers = (shown(row.spelled.get("sampling_steps")), shown(_seed(row)))
        cells = (_named(row), *fields, *numbers, row.trial[:8], happens(row, chosen.trained))
        table.add_row(*map(Text, cells))
    return table


def _stages(time: "Estimate") -> tuple[tuple[str, float | None], ...]:
    return ("train", time.train), ("sample", time.sample), ("score", time.score)


def _time_in_all(trials: "Sequence[Trial]", times: "Sequence[Estimate]") -> str:
    """The total time on one device and the basis of the estimate."""
    models = [time for trial, time in zip(trials, times, strict=True) if trial.about == "images"]
    if not models:
        return "nothing to train or to sample"
    known = [time for time in models if time.total is not None]
    if not known:
        return (
            "no time estimate: there are no similar stored rows; 'mgbench speed METHOD' measures what it takes, or a short run "
            "with --set train_steps=50"
        )

    total = duration(sum(time.total or 0 for time in known))
    rest = f"; no estimate for {counted(len(models) - len(known), 'other trial')}" if len(known) < len(models) else ""
    sources = "; ".join(dict.fromkeys(time.source for time in known))
    return (
        f"about {total} of one device in all, estimated from {sources}{rest}; trials share the devices that there are, and "
        "take some seconds each to start"
    )


def _print_json(chosen: selection.Chosen, planned: Planned) -> None:
    from mgbench.cli.output.as_json import print_json

    axes = _axes(chosen)
    timed = zip(planned.trials, planned.times, strict=True)
    content = {
        "study": chosen.study.name,
        "rows": [_row_values(row, axes, chosen.trained) for row in chosen.rows],
        "trials": [_trial_values(trial, time, planned.costs.get(trial.key), chosen.trained) for trial, time in timed],
        "claims": [claim.plain() for claim in chosen.study.claims],
        "summary": summary(chosen),
    }
    print_json(content)


def _row_values(row: "Row", axes: Sequence[str], trained: frozenset[str]) -> dict[str, Any]:
    return {
        "method": row.method,
        "about": row.about,
        "key": row.key,
        "model": row.trial,
        "steps": row.spelled.get("sampling_steps"),
        "seed": _seed(row),
        "fields": _fields(row, axes),
        "status": row.standing or ("skipped" if row.assembly.unfit else "to compute"),
        "happens": happens(row, trained),
    }


def _trial_values(trial: "Trial", time: "Estimate", costs: "Counted | None", trained: frozenset[str]) -> dict[str, Any]:
    from mgbench.cli.forecast.costs import as_values

    return {
        "name": trial.name,
        "key": trial.key,
        "rows": [row.key for row in trial.rows],
        "trained": trial.key in trained,
        "seconds": {**dict(_stages(time)), "total": time.total},
        "source": time.source,
        "costs": as_values(costs) if costs else None,
    }


def happens(row: "Row", trained: frozenset[str]) -> str:
    """The action of a run for a row, given the keys of stored models and tokenizers."""
    if row.assembly.unfit:
        return f"skipped: {row.assembly.unfit}"
    if row.reused:
        return "reused"
    if row.standing:
        return f"{row.standing} before: kept unless --retry-failed is given"
    if row.about == "tokenizer":
        return "score (fitted already)" if row.trial in trained else "fit, score"
    return "sample, score (trained already)" if row.trial in trained else "train, sample, score"


def _axes(chosen: selection.Chosen) -> list[str]:
    """The fields that the study varies, except those with a column of their own."""
    seeds = ["sample_seed"] if chosen.study.sample_seeds else []
    return [*(axis for axis in chosen.study.vary if axis not in ("sampling_steps", "seed")), *seeds]


def _fields(row: "Row", axes: Sequence[str]) -> dict[str, Any]:
    """The values of the varied fields as given; for a tokenizer's row, only those that decide it."""
    from mgbench.recipes.recipe import plain
    from mgbench.recipes.spec import option_at

    found = {axis: axis.split(".") for axis in axes}
    given, decided = row.assembly.recipe, row.spelled
    return {
        axis: plain(option_at(getattr(given, field), path)) if decided.get(field) is not None else None
        for axis, (field, *path) in found.items()
    }


def _seed(row: "Row") -> int | None:
    return row.assembly.recipe.seed if row.about == "images" else None


def _named(row: "Row") -> str:
    return (
        row.method
        if row.about == "images"
        else f"tokenizer {row.assembly.recipe.tokenizer or row.spelled['tokenizer']}"
    )
