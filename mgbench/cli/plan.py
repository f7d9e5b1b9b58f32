"""`mgbench plan`: what a run would do, without doing it."""

from pathlib import Path
from typing import TYPE_CHECKING

from mgbench.cli import choices

if TYPE_CHECKING:
    from mgbench.trials.plan import Row


def plan(
    study_file: choices.StudyFile = None,
    plugins: choices.Plugins = "",
    set_: choices.Set = None,
    vary: choices.Vary = None,
    seeds: choices.Seeds = "",
    methods: choices.Methods = "",
    name: choices.Name = "",
    results: choices.Results = Path("results"),
    retry_failed: choices.RetryFailed = False,
) -> None:
    """Show every recipe of a study, which are reused or skipped and why, and the trials they share; run nothing."""
    from rich.console import Console
    from rich.table import Table

    chosen = choices.choose(
        choices.outline(study_file, plugins, set_, vary, seeds, methods, name), results, retry_failed
    )
    table = Table(title=f"study {chosen.study.name}", title_justify="left")
    for column in ("method", "steps", "seed", "model", "what happens"):
        table.add_column(column)
    for row in chosen.rows:
        table.add_row(*_cells(row), row.trial[:8], _happens(row))
    console = Console()
    console.print(table)
    console.print(summary(chosen))


def _happens(row: "Row") -> str:
    if row.assembly.unfit:
        return f"skipped: {row.assembly.unfit}"
    if row.reused:
        return "reused"
    return f"{row.standing} before: left alone without --retry-failed" if row.standing else "computed"


def _cells(row: "Row") -> tuple[str, str, str]:
    recipe = row.assembly.recipe
    if row.about != "images":
        return f"{row.method} {recipe.tokenizer or row.spelled['tokenizer']}", "", ""
    steps = row.assembly.spelled["sampling_steps"]
    return row.method, "–" if steps is None else str(steps), str(recipe.seed)


def summary(chosen: choices.Chosen) -> str:
    """How many recipes and tokenizers there are, and what happens to them."""
    from mgbench.trials.plan import plan_trials

    rows = [row for row in chosen.rows if row.about == "images"]
    tokenizers = [row for row in chosen.rows if row.about != "images"]
    skipped = sum(bool(row.assembly.unfit) for row in rows)
    reused = sum(row.reused for row in rows)
    trials = plan_trials(rows)
    computed = sum(len(trial.rows) for trial in trials)
    to_fit, known = sum(not row.standing for row in tokenizers), sum(row.reused for row in tokenizers)
    failed = sum(bool(row.standing) and not row.reused for row in chosen.rows)
    left = f"; {failed} failed before and are left alone (--retry-failed tries them again)" if failed else ""
    return (
        f"{len(rows)} recipes: {computed} to compute in {len(trials)} trials (one training each), "
        f"{reused} reused, {skipped} skipped; tokenizers: {to_fit} to fit and judge first, {known} reused{left}"
    )
