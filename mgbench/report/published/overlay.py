"""The user's rows over published results, only those with the same protocol, and a sentence about them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from mgbench.report.figures.picture import Picture
from mgbench.report.frame import POINT, score_names
from mgbench.report.labels import family
from mgbench.report.published.data import EXTRACTOR, METRIC, SAMPLES, Published, read_published
from mgbench.report.published.figure import published_figure
from mgbench.report.summary import summarise

PROTOCOL = re.compile(
    r"(?P<dataset>.+)@(?P<data>\w+)/(?P<split>[^/]+)/n(?P<count>\d+)/(?P<labels>[^/]+)/(?P<values>[^/]+)"
    r"/(?P<height>\d+)x(?P<width>\d+)/(?P<extractor>[^/@]+)(@[^/]*)?"
)


@dataclass(frozen=True)
class Beside:
    """A figure of published results with the user's rows, if comparable, and a sentence about them."""

    pictures: list[Picture]
    sentence: str


def overlay(frame: pd.DataFrame, name: str) -> Beside:
    """Add the rows of a frame to the figure of published results, only those with the same protocol.

    Raises:
        UserError: if there are no published numbers of that name.
    """
    published = read_published(name)
    done = frame[frame["status"] == "done"]
    reasons = {str(text): list(differences(str(text), published)) for text in done["protocol"].unique()}
    rows = done[[not reasons[str(text)] for text in done["protocol"]]]
    points = _points(rows)
    if points.empty:
        return Beside([], _why_not(published, [why for found in reasons.values() for why in found]))
    return Beside([picture(published, points)], _which(published, len(rows), len(done) - len(rows)))


def _which(published: Published, same: int, others: int) -> str:
    have = f"{same:,} of your rows {'has' if same == 1 else 'have'}"
    left_out = f"; {others:,} {'has' if others == 1 else 'have'} another and {'is' if others == 1 else 'are'} left out"
    return f"{have} the protocol of the published numbers of {published.title}{left_out if others else ''}."


def differences(protocol: str, published: Published) -> Iterator[str]:
    """The differences between a protocol and that of the published results; empty if there are none."""
    found = PROTOCOL.fullmatch(protocol)
    if found is None:
        yield "their protocol is not recorded"
        return
    if published.dataset.lower() not in found["dataset"].lower():
        yield f"they are of {found['dataset']}"
    if {int(found["height"]), int(found["width"])} != {published.side}:
        yield f"they have {found['height']}×{found['width']} pixels instead of {published.side}×{published.side}"
    if int(found["count"]) != SAMPLES:
        yield f"they are scored on {int(found['count']):,} images instead of {SAMPLES:,}"
    if found["extractor"] != EXTRACTOR:
        yield f"their extractor is {found['extractor']} instead of {EXTRACTOR}"


def picture(published: Published, own: pd.DataFrame | None = None) -> Picture:
    """The figure of published numbers, with or without one's own, as a picture of a page."""
    mine = "" if own is None else " Stars: your own runs, the mean over seeds."
    return Picture(
        "Published numbers",
        published.name,
        f"FID against NFE on {published.title}, as published",
        "A line joins the sizes of a model at one cost, or one model at several costs. Small numbers: caveats, below the "
        f"figure.{mine}",
        _alt(published, own),
        partial(_draw, published, own),
    )


def _draw(published: Published, own: pd.DataFrame | None) -> Figure:
    return published_figure(published, own)


def _alt(published: Published, own: pd.DataFrame | None) -> str:
    drawn = published.drawn
    best = drawn.sort_values("fid").drop_duplicates("guided")
    lines = [
        f"best {'with' if row['guided'] else 'without'} guidance: {row['model']}, FID {row['fid']:g} at {row['nfe']:g} forwards"
        for row in best.to_dict("records")
    ]
    mine = "" if own is None else f", and your own {', '.join(own['series'].unique())}"
    kind = f"Chart of FID against network forwards of {drawn['series'].nunique()} published series{mine}"
    return f"{kind}; {'; '.join(lines)}."


def _points(rows: pd.DataFrame) -> pd.DataFrame:
    """The mean FID and cost per series and number of steps; rows with more forwards than steps are guided."""
    fids = [name for name in score_names(rows) if family(name) == METRIC and name in rows]
    found: list[dict[str, Any]] = []
    for metric in fids if len(rows) else []:
        if _extractor(metric) in ("", EXTRACTOR) and "nfe" in rows:
            for row in summarise(rows, metric, "nfe", allow_mismatch=True).to_dict("records"):
                guided = row["cost"] > row[POINT]
                found.append({"series": row["series"], "nfe": row["cost"], "fid": row["mean"], "guided": guided})
    return pd.DataFrame(found, columns=["series", "nfe", "fid", "guided"])


def _extractor(metric: str) -> str:
    return metric.partition("[")[2].rstrip("]")


def _why_not(published: Published, reasons: list[str]) -> str:
    why = "; ".join(dict.fromkeys(reasons)) or "no row has an FID and its forwards"
    return (
        f"None of your rows is added to the published numbers of {published.title}, because {why}. Numbers of "
        f"different protocols are not comparable."
    )
