"""Tables of numbers by step, written by training and fitting."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path

from mgbench.stages.train import TrainStep


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Sequence[float]]) -> None:
    """Write a table with a header, as CSV."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a table by column, as text."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def read_curve(path: Path) -> list[TrainStep]:
    """The reports of a training."""
    kinds = {item.name: item.type for item in fields(TrainStep)}
    return [TrainStep(**{name: kinds[name](value) for name, value in row.items()}) for row in read_rows(path)]  # type: ignore[operator]
