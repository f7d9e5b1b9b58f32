"""The text of docs/findings.md."""

import posixpath
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mgbench.report.claims import NOTE, at_said, by_chance, counts, effect_said, margin_said
from mgbench.report.figures.claims import alt_of, drawable
from mgbench.report.frame import COUNT, of_images
from mgbench.report.judging import Verdict
from mgbench.report.labels import declared_in
from mgbench.report.measures import briefly, cost_short, declared_name, number
from scripts.claims.gather import Kept
from scripts.claims.pick import picks

FIGURES = "assets/findings"
HEAD = """# Does it hold?

What the paper of eMIGM ([arXiv 2503.07197](https://arxiv.org/abs/2503.07197)) says about its design choices, and what else
is claimed of them, tested in the small: a study file for each question, whose claims, seeds and budgets were fixed before
any row was computed. Written by `python scripts/findings.py` from the study files in `studies/findings/` and the rows in
`reports/findings/`, and compared with them by a test.

A claim is **reproduced** if the whole 95 % interval of its effect is on its side, **reversed** if it is on the other side,
and *undecided at this scale* otherwise; [Reports](guides/reports.md#claims) has the rules. Undecided is a result: the data
cannot tell, and nothing is explained away. Models this small, on images this small, say what holds here, and no more;
images of 196 tokens take more time than these studies have, and are left out. Operations are counted, times were taken on
a machine that did other work at the same time: those of two trainings are not comparable.
"""
COSTS = {
    "nfe": ("NFE", 1.0),
    "flops_per_image": ("MFLOPs/image", 1e-6),
    "seconds_per_image": ("ms/image", 1e3),
    "train_flops": ("training, TFLOPs", 1e-12),
}
EMPTY = "No study has been kept yet: `python scripts/findings.py results NAME` keeps a finished one.\n"


def page(studies: Sequence[Kept], missing: Sequence[Path] = ()) -> str:
    """The page as Markdown, of kept studies and the paths of those that have not been kept."""
    parts = [HEAD]
    if not studies:
        return "\n".join([*parts, EMPTY])
    found = [verdict for study in studies for verdict in study.verdicts]
    parts += [*_not_run(missing), "## At a glance\n", *_glance(studies, found)]
    parts += ["## Where verdicts change with the number of tokens\n", *_changes(studies)]
    parts += [line for study in studies for line in _study(study)]
    parts += ["## What to pick\n", PICK, *picks(studies)]
    return "\n".join(parts).rstrip("\n") + "\n"


def _not_run(missing: Sequence[Path]) -> Iterator[str]:
    """A sentence on studies whose claims are fixed and whose rows are not kept; nothing where there is none."""
    if missing:
        links = ", ".join(f"[{path.stem}](../{path.as_posix()})" for path in missing)
        yield f"Claims that are fixed and not tested yet: {links}.\n"


PICK = """The best mean score among the rows of all studies above that need at most so many network forwards an image, with its
interval over seeds; and those whose difference from it, paired by seed, has an interval that contains 0. Only points with
five seeds or more are asked. The best of many is a little worse than it looks: its mean was chosen for being low.
"""


def _glance(studies: Sequence[Kept], found: Sequence[Verdict]) -> Iterator[str]:
    """Counts, and a row for each claim with its findings on each data set."""
    told = ", ".join(f"{count} {finding}" for finding, count in counts(found).items())
    data, claims = _of_data(studies), dict[tuple[str, str], dict[str, list[str]]]()
    for study in studies:
        for verdicts in _by_claim(study.verdicts):
            claim = verdicts[0].claim
            said = f"[{_short(verdicts)}](#{_anchor(study, claim.name)})"
            claims.setdefault((claim.name, claim.says.rstrip(".")), {}).setdefault(study.data, []).append(said)
    counted = (
        f"{len(studies)} {'studies' if len(studies) > 1 else 'study'}, {len(claims)} claims, {len(found)} verdicts"
    )
    yield f"{counted}: {told}. {by_chance(found)}\n"
    yield f"{NOTE}\n"
    yield f"| claim | {' | '.join(data)} |\n|---|{'---|' * len(data)}"
    for (_, says), cells in claims.items():
        yield f"| {says} | {' | '.join('; '.join(cells.get(each, ['–'])) for each in data)} |"
    yield ""


def _of_data(studies: Sequence[Kept]) -> list[str]:
    """The data sets of studies, those of few tokens first."""
    order = {study.data: study.tokens for study in studies}
    return sorted(order, key=lambda data: (order[data], data))


def _short(verdicts: Sequence[Verdict]) -> str:
    """The findings of a claim, each with the conditions at which it is found: "**reproduced** at 8 steps, 16 steps"."""
    places: dict[str, list[str]] = {}
    for verdict in verdicts:
        places.setdefault(_strong(verdict.finding), []).append(_at(verdict))
    if len(places) == 1:
        return next(iter(places)) + (f" ({len(verdicts)} of {len(verdicts)})" if len(verdicts) > 1 else "")
    return "; ".join(f"{finding} at {', '.join(said)}" for finding, said in places.items())


def _at(verdict: Verdict) -> str:
    said = at_said(verdict)
    return f"`{said}`" if said == verdict.at else said.replace(" ", "\N{NO-BREAK SPACE}")


def _strong(finding: str) -> str:
    return finding if finding == "undecided" else f"**{finding}**"


def _by_claim(verdicts: Sequence[Verdict]) -> list[list[Verdict]]:
    found: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        found.setdefault(verdict.claim.name, []).append(verdict)
    return list(found.values())


def _anchor(study: Kept, claim: str) -> str:
    """The anchor of the heading of a claim, as both mkdocs and GitHub make it."""
    return re.sub(r"[^\w\s-]", "", f"{study.name} {claim}").lower().replace(" ", "-")


CHANGES = ("yes", "decided on some", "no")


def _changes(studies: Sequence[Kept]) -> Iterator[str]:
    """Claims of the same name and condition in studies of other data, with what each of these says."""
    by_data: dict[tuple[str, str], dict[str, Verdict]] = {}
    for study in studies:
        for verdict in study.verdicts:
            by_data.setdefault((verdict.claim.name, verdict.at), {})[study.data] = verdict
    both = {place: verdicts for place, verdicts in by_data.items() if len(verdicts) > 1}
    if not both:
        yield "No claim has been tested on two datasets yet.\n"
        return
    columns = [data for data in _of_data(studies) if any(data in verdicts for verdicts in both.values())]
    kinds = {place: _change(list(verdicts.values())) for place, verdicts in both.items()}
    turned = ", ".join(dict.fromkeys(name for (name, at) in both if kinds[name, at] == CHANGES[0]))
    yield (
        f"The same claims on data of other sizes, those that change first. Of {len(both)} that were tested on several, "
        f"{list(kinds.values()).count(CHANGES[0])} change from reproduced to reversed or back"
        f"{f' ({turned})' if turned else ''}; one that is decided on some data and not on other may be the same. "
        "Number of images, pixels and training steps differ as well, so that tokens need not be the cause.\n"
    )
    yield f"| claim | at | {' | '.join(columns)} | changes |\n|---|---|{'---|' * len(columns)}---|"
    for (name, at), verdicts in sorted(both.items(), key=lambda item: CHANGES.index(kinds[item[0]])):
        cells = [_cell(verdicts[data]) if data in verdicts else "–" for data in columns]
        yield f"| {name} | {_at(next(iter(verdicts.values())))} | {' | '.join(cells)} | {kinds[name, at]} |"
    yield ""


def _cell(verdict: Verdict) -> str:
    return f"{_strong(verdict.finding)} {_effect(verdict)}"


def _effect(verdict: Verdict) -> str:
    """The effect, which breaks before its interval only."""
    return (
        effect_said(verdict)
        .replace(" %", "\N{NO-BREAK SPACE}%")
        .replace(" to ", "\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}")
    )


def _change(verdicts: Sequence[Verdict]) -> str:
    """One of `CHANGES`."""
    turned, some, same = CHANGES
    if len({verdict.finding for verdict in verdicts} - {"undecided"}) > 1:
        return turned
    return same if len({verdict.finding for verdict in verdicts}) == 1 else some


def _study(study: Kept) -> Iterator[str]:
    yield f"## {study.name}: {study.data}\n"
    path = study.path.as_posix()
    yield f"Study file: [{path}](../{path}); `mgbench run {path}`. {_extent(study)}\n"
    if drawable(study.verdicts):
        yield f"![{alt_of(drawable(study.verdicts))}]({posixpath.join(FIGURES, study.name)}.png)\n"
    for verdicts in _by_claim(study.verdicts):
        yield from _claim(study, verdicts)


def _extent(study: Kept) -> str:
    """The rows of a study by status, its seeds, and the time of its trainings."""
    rows = of_images(study.frame)
    statuses = ", ".join(f"{count} {status}" for status, count in rows["status"].value_counts().items())
    missing = f", {study.facts['missing']} without a record" if study.facts["missing"] else ""
    models = rows[rows["status"] == "done"].drop_duplicates("training_key")
    seconds = pd.to_numeric(models["train_seconds"], errors="coerce").sum() if "train_seconds" in models else np.nan
    sampled = sum(_product(rows, "seconds_per_image", COUNT))
    device = ", ".join(dict.fromkeys(map(str, rows["device"].dropna()))) if "device" in rows else ""
    return (
        f"{len(rows)} rows ({statuses}{missing}) of {rows['seed'].nunique()} seeds; {len(models)} trainings took "
        f"{briefly(seconds / 60)} minutes in all, sampling {briefly(sampled / 60)}"
        + (f", on {device}." if device else ".")
    )


def _product(rows: pd.DataFrame, one: str, other: str) -> pd.Series:
    known = [pd.to_numeric(rows[name], errors="coerce") for name in (one, other) if name in rows]
    return (known[0] * known[1]).dropna() if len(known) == 2 else pd.Series(dtype=float)


def _claim(study: Kept, verdicts: Sequence[Verdict]) -> Iterator[str]:
    claim = verdicts[0].claim
    yield f"### {study.name}: {claim.name}\n\n*{claim.says}*\n"
    source = f" Source: {claim.source}." if claim.source else ""
    yield f"`{claim.better}` {margin_said(verdicts[0]) or 'better'} than `{claim.than}`.{source}\n"
    wanted = {name: COSTS.get(name, (cost_short(name), 1.0)) for name in (*COSTS, *claim.costs)}
    costs = {name: told for name, told in wanted.items() if any(name in verdict.costs for verdict in verdicts)}
    score = declared_name(verdicts[0].metric, declared_in(study.frame).get(verdicts[0].metric)) or "score"
    heads = ["at", "verdict", "effect", "seeds", score, *(head for head, _ in costs.values())]
    yield f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}"
    for verdict in verdicts:
        pairs = [
            _pair(verdict.means, 1.0),
            *(_pair(verdict.costs.get(name), unit) for name, (_, unit) in costs.items()),
        ]
        cells = [
            _at(verdict),
            _strong(verdict.finding),
            effect_said(verdict),
            f"{verdict.seeds} of {verdict.planned}",
            *pairs,
        ]
        yield f"| {' | '.join(cells)} |"
    noted = [verdict for verdict in verdicts if verdict.notes]
    yield from [""] * bool(noted)
    for verdict in noted:
        yield f"- {f'At {_at(verdict)}: ' if verdict.at else ''}{'; '.join(verdict.notes)}."
    yield ""


def _pair(pair: tuple[float, float] | None, unit: float) -> str:
    """Both sides of a column, "31.2 / 40.1"; once where they are the same."""
    if pair is None or np.isnan(pair).all():
        return "–"
    texts = [number(value * unit) for value in pair]
    return texts[0] if texts[0] == texts[1] else " / ".join(texts)
