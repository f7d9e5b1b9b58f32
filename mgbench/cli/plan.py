"""`mgbench plan`: what a run would do, without doing it."""

from pathlib import Path
from typing import TYPE_CHECKING

from mgbench.cli import choices

if TYPE_CHECKING:
    from mgbench.plan import Row


def plan(
    study_file: choices.StudyFile = None,
    plugins: choices.Plugins = "",
    set_: choices.Set = None,
    vary: choices.Vary = None,
    seeds: choices.Seeds = "",
    methods: choices.Methods = "",
    name: choices.Name = "",
    results: choices.Results = Path("results"),
) -> None:
    """Show every recipe of a study, which are reused or skipped and why, and the trials they share; run nothing."""
    from rich.console import Console
    from rich.table import Table

    chosen = choices.choose(choices.outline(study_file, plugins, set_, vary, seeds, methods, name), results)
    table = Table(title=f"study {chosen.study.name}", title_justify="left")
    for column in ("method", "steps", "seed", "model", "what happens"):
        table.add_column(column)
    for row in chosen.rows:
        happens = f"skipped: {row.assembly.unfit}" if row.assembly.unfit else "reused" if row.reused else "computed"
        table.add_row(*_cells(row), row.trial[:8], happens)
    console = Console()
    console.print(table)
    console.print(summary(chosen))


def _cells(row: "Row") -> tuple[str, str, str]:
    recipe = row.assembly.recipe
    if row.about != "images":
        return f"{row.method} {recipe.tokenizer or row.spelled['tokenizer']}", "", ""
    steps = row.assembly.spelled["sampling_steps"]
    return row.method, "–" if steps is None else str(steps), str(recipe.seed)


def summary(chosen: choices.Chosen) -> str:
    """How many recipes and tokenizers there are, and what happens to them."""
    from mgbench.plan import plan_trials

    rows = [row for row in chosen.rows if row.about == "images"]
    tokenizers = [row for row in chosen.rows if row.about != "images"]
    skipped = sum(bool(row.assembly.unfit) for row in rows)
    reused = sum(row.reused for row in rows)
    trials = plan_trials(rows)
    computed = sum(len(trial.rows) for trial in trials)
    known = sum(row.reused for row in tokenizers)
    return (
        f"{len(rows)} recipes: {computed} to compute in {len(trials)} trials (one training each), "
        f"{reused} reused, {skipped} skipped; tokenizers: {len(tokenizers) - known} to fit and judge first, {known} reused"
    )
