"""`mgbench plan`: what a run would do, without doing it."""

from pathlib import Path

from mgbench.cli import choices


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
        recipe = row.assembly.recipe
        happens = f"skipped: {row.assembly.unfit}" if row.assembly.unfit else "reused" if row.reused else "computed"
        cells = (row.method, str(recipe.sampling_steps), str(recipe.seed), row.assembly.keys.training[:8], happens)
        table.add_row(*cells)
    console = Console()
    console.print(table)
    console.print(summary(chosen))


def summary(chosen: choices.Chosen) -> str:
    """How many recipes there are, and what happens to them."""
    from mgbench.plan import plan_trials

    skipped = sum(bool(row.assembly.unfit) for row in chosen.rows)
    reused = sum(row.reused for row in chosen.rows)
    trials = plan_trials(chosen.rows)
    computed = sum(len(trial.rows) for trial in trials)
    return (
        f"{len(chosen.rows)} recipes: {computed} to compute in {len(trials)} trials (one training each), "
        f"{reused} reused, {skipped} skipped"
    )
