"""`mgbench plan`: a preview of a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mgbench.cli import choices

if TYPE_CHECKING:
    from mgbench.cli.estimates import Estimate
    from mgbench.trials.plan import Row, Trial


def plan(
    study_file: choices.StudyFile = None,
    plugins: choices.Plugins = None,
    set_: choices.Set = None,
    vary: choices.Vary = None,
    seeds: choices.Seeds = None,
    sample_seeds: choices.SampleSeeds = None,
    methods: choices.Methods = None,
    name: choices.Name = "",
    results: choices.Results = Path("results"),
    retry_failed: choices.RetryFailed = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with every row and every trial.")] = False,
) -> None:
    """Show every recipe of a study, what is reused or skipped and why, the shared trials, and estimated times."""
    from mgbench.cli.estimates import Estimate, stored_rates
    from mgbench.trials.plan import plan_trials

    asked = choices.outline(study_file, plugins, set_, vary, seeds, methods, name, sample_seeds)
    chosen = choices.choose(asked, results, retry_failed)
    trials = plan_trials(chosen.rows)
    rates = stored_rates(chosen.store.layout) if trials else None
    times = [rates.of(trial, trial.key in chosen.trained) if rates else Estimate() for trial in trials]
    if as_json:
        _print_json(chosen, trials, times)
    else:
        _print(chosen, trials, times)


def _print(chosen: choices.Chosen, trials: "Sequence[Trial]", times: "Sequence[Estimate]") -> None:
    from rich.text import Text

    from mgbench.cli.table import console, plain_table

    screen, table = console(), plain_table(f"study {chosen.study.name}")
    axes = _axes(chosen)
    for column in ("method", *axes, "steps", "seed", "model", "what happens"):
        numeric = column in ("steps", "seed")
        table.add_column(column, justify="right" if numeric else "left", overflow="fold", no_wrap=numeric)
    for row in chosen.rows:
        fields = [_told(_fields(row, axes)[axis]) for axis in axes]
        cells = (_named(row), *fields, _steps(row), _seed(row), row.trial[:8], happens(row, chosen.trained))
        table.add_row(*map(Text, cells))
    screen.print(table)
    for trial, time in zip(trials, times, strict=True):
        if time.total is not None:
            stages = f"train {clock(time.train or 0)}, sample {clock(time.sample or 0)}, score {clock(time.score or 0)}"
            screen.print(f"{trial.name}: about {clock(time.total)} ({stages})", soft_wrap=True, markup=False)
    screen.print(summary(chosen), soft_wrap=True, markup=False)
    screen.print(_time_in_all(trials, times), soft_wrap=True, markup=False)


def _time_in_all(trials: "Sequence[Trial]", times: "Sequence[Estimate]") -> str:
    """The total time on one device and the basis of the estimate."""
    models = [time for trial, time in zip(trials, times, strict=True) if trial.about == "images"]
    if not models:
        return "nothing to train or to sample"
    known = [time for time in models if time.total is not None]
    if not known:
        return "no time estimate: there are no similar stored rows; a short run with --set train_steps=50 provides them"
    from mgbench.results.maintenance.inventory import counted

    total = clock(sum(time.total or 0 for time in known))
    rest = f"; no estimate for {counted(len(models) - len(known), 'other trial')}" if len(known) < len(models) else ""
    sources = "; ".join(dict.fromkeys(time.source for time in known))
    return (
        f"about {total} of one device in all, estimated from {sources}{rest}; trials share the devices that there are"
    )


def _print_json(chosen: choices.Chosen, trials: "Sequence[Trial]", times: "Sequence[Estimate]") -> None:
    from mgbench.cli.as_json import print_json

    axes = _axes(chosen)
    rows = [
        {
            "method": row.method,
            "about": row.about,
            "key": row.key,
            "model": row.trial,
            "steps": row.spelled.get("sampling_steps"),
            "seed": row.assembly.recipe.seed if row.about == "images" else None,
            "fields": _fields(row, axes),
            "status": row.standing or ("skipped" if row.assembly.unfit else "to compute"),
            "happens": happens(row, chosen.trained),
        }
        for row in chosen.rows
    ]
    planned = [
        {
            "name": trial.name,
            "key": trial.key,
            "rows": [row.key for row in trial.rows],
            "trained": trial.key in chosen.trained,
            "seconds": {"train": time.train, "sample": time.sample, "score": time.score, "total": time.total},
            "source": time.source,
        }
        for trial, time in zip(trials, times, strict=True)
    ]
    print_json({"study": chosen.study.name, "rows": rows, "trials": planned, "summary": summary(chosen)})


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


def _axes(chosen: choices.Chosen) -> list[str]:
    """The fields that the study varies, except those with a column of their own."""
    seeds = ["sample_seed"] if chosen.study.sample_seeds else []
    return [*(axis for axis in chosen.study.vary if axis not in ("sampling_steps", "seed")), *seeds]


def _fields(row: "Row", axes: Sequence[str]) -> dict[str, Any]:
    """The values of the varied fields as given; for a tokenizer's row, only those that decide it."""
    from mgbench.recipes.recipe import plain

    given, decided = row.assembly.recipe, row.spelled
    return {axis: plain(getattr(given, axis)) if decided.get(axis) is not None else None for axis in axes}


def _told(value: object) -> str:
    if value is None:
        return "–"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _named(row: "Row") -> str:
    return (
        row.method
        if row.about == "images"
        else f"tokenizer {row.assembly.recipe.tokenizer or row.spelled['tokenizer']}"
    )


def _steps(row: "Row") -> str:
    steps = row.spelled.get("sampling_steps")
    return "–" if steps is None else str(steps)


def _seed(row: "Row") -> str:
    return str(row.assembly.recipe.seed) if row.about == "images" else "–"


def clock(seconds: float) -> str:
    """A time in readable units: 40 s, 12 min, 3 h 20 min."""
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"{round(seconds)} s"
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def summary(chosen: choices.Chosen) -> str:
    """Counts of recipes, trials and tokenizers by action."""
    from mgbench.results.maintenance.inventory import counted
    from mgbench.trials.plan import plan_trials

    rows = [row for row in chosen.rows if row.about == "images"]
    trials = plan_trials(rows)
    known = sum(trial.key in chosen.trained for trial in trials)
    failed = sum(bool(row.standing) and not row.reused for row in chosen.rows)
    return (
        f"{counted(len(rows), 'recipe')}: {sum(len(trial.rows) for trial in trials)} to compute in "
        f"{counted(len(trials), 'trial')} ({len(trials) - known} to train, {known} trained already), "
        f"{sum(row.reused for row in rows)} reused, {sum(bool(row.assembly.unfit) for row in rows)} skipped; "
        f"{_tokenizers(chosen)}"
        + (f"; {failed} failed before and are not computed again (--retry-failed does)" if failed else "")
    )


def _tokenizers(chosen: choices.Chosen) -> str:
    tokenizers = [row for row in chosen.rows if row.about == "tokenizer" and (row.reused or not row.standing)]
    fitted = {row.trial for row in tokenizers if row.reused or row.trial in chosen.trained}
    to_fit = {row.trial for row in tokenizers} - fitted
    return f"tokenizers: {len(to_fit)} to fit, {len(fitted)} fitted already"
