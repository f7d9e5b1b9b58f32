"""Which pictures does a report hold? Those of `mgbench.report.figures`, by section."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from mgbench.record import Layout
from mgbench.report.figures import sheets, tradeoff
from mgbench.report.figures import training as curves
from mgbench.report.figures.picture import Picture, Stored, as_data_uri, as_png

__all__ = ["Picture", "as_data_uri", "as_png", "samples", "trade_offs", "training"]


def trade_offs(frame: pd.DataFrame, allow_mismatch: bool = False) -> Iterator[Picture]:
    """Every score against the costs."""
    return tradeoff.pictures(Stored(frame, Layout(Path())))


def training(frame: pd.DataFrame, layout: Layout) -> Iterator[Picture]:
    """The training curves."""
    return curves.pictures(Stored(frame, layout))


def samples(frame: pd.DataFrame, layout: Layout) -> Iterator[Picture]:
    """The sheets."""
    return sheets.pictures(Stored(frame, layout))
