"""Claims of a study before it is computed: checked against its planned rows, and listed."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mgbench.cli.output.terminal import notify
from mgbench.errors import UserError, suggestion

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from mgbench.recipes.claims import Claim
    from mgbench.recipes.study import Study
    from mgbench.registry.registry import Registry
    from mgbench.trials.plan import Row


def check_claims(study: "Study", registry: "Registry", rows: "Sequence[Row]") -> None:
    """Check every claim of a study against its planned rows.

    Where options select or change rows, so that they are not those of the file, a claim without rows is a note.

    Raises:
        UserError: if a condition holds for no row or names no column, rows have no partners, or no metric gives the score.
    """
    if not study.claims:
        return
    frame, scores = planned_frame(rows), _scores(registry, rows)
    for claim in study.claims:
        try:
            _check(claim, frame, scores)
        except UserError as problem:
            said = f"claim {claim.name!r}: {problem}"
            if study.whole:
                raise UserError(said) from None
            notify(said)


def _check(claim: "Claim", frame: "pd.DataFrame", scores: set[str]) -> None:
    from mgbench.report.judging import Pairs
    from mgbench.report.labels import COSTS, family

    for at in claim.at or ("",):
        Pairs.of(frame, replace(claim, metric=""), at)
    if claim.metric and family(claim.metric) not in scores:
        raise UserError(f"no metric of its rows gives a score {claim.metric!r}; {suggestion(claim.metric, scores)}")
    for cost in claim.costs:
        if cost not in COSTS:
            raise UserError(f"there is no cost {cost!r}; {suggestion(cost, COSTS)}")


def planned_frame(rows: "Sequence[Row]") -> "pd.DataFrame":
    """The rows of a study about images as a frame without scores, as they are before any is computed."""
    from mgbench.report.frame import as_frame, name_series

    pictured = [row for row in rows if row.about == "images"]
    frame = as_frame([(row.record(*_standing(row)), row.method) for row in pictured])
    frame["series"] = name_series(frame)
    return frame


def _standing(row: "Row") -> tuple[str, str]:
    """Status and reason of a row before anything is computed."""
    return ("skipped", row.assembly.unfit) if row.assembly.unfit else ("planned", "")


def _scores(registry: "Registry", rows: "Sequence[Row]") -> set[str]:
    """The names of the scores of all metrics of the rows, without extractors."""
    from mgbench.interfaces.optional import declared_scores
    from mgbench.recipes.spec import Spec

    specs = {str(spec) for row in rows for spec in row.spelled.get("metrics") or ()}
    makers = [registry.offer("metric", Spec.parse(spec)).maker for spec in specs]
    return {name for maker in makers for name in declared_scores(maker)}


def print_claims(screen: "Console", claims: "Sequence[Claim]", rows: "Sequence[Row]") -> None:
    """Print what each claim says, its sides, and how many seeds it will have; nothing where there is none."""
    for line in _lines(claims, rows) if claims else ():
        screen.print(line, soft_wrap=True, markup=False, highlight=False)


def _lines(claims: "Sequence[Claim]", rows: "Sequence[Row]") -> Iterator[str]:
    from mgbench.report.claims import margin_said
    from mgbench.report.judging import FEWEST, judge

    frame = planned_frame(rows)
    yield "claims:"
    for claim in claims:
        found = [judge(frame, claim, at) for at in claim.at or ("",)]
        yield f"  {claim.name}: {claim.says}" + (f" ({claim.source})" if claim.source else "")
        score = f" in {claim.metric}" if claim.metric else ""
        places = f", at {'; '.join(claim.at)}" if claim.at else ""
        seeds = sorted({verdict.planned for verdict in found})
        few = f", of {FEWEST} that a verdict needs" if seeds[0] < FEWEST else ""
        paired = " to ".join(map(str, dict.fromkeys((seeds[0], seeds[-1]))))
        yield (
            f"    {claim.better}  {margin_said(found[0]) or 'better'}{score} than  {claim.than}{places}  "
            f"({paired} {'seed' if seeds[-1] == 1 else 'seeds'}{few})"
        )
        skipped = [item for verdict in found for item in verdict.skipped.items()]
        for condition, reason in dict(skipped).items():
            yield f"    no verdict can come of it: rows of {condition!r} are skipped ({reason})"
