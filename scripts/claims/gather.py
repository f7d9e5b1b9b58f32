"""Studies with claims whose rows are kept in the repository, with their verdicts."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mgbench.recipes.study import read_study
from mgbench.report.frame import Claims, as_frame, name_series
from mgbench.report.judging import Verdict, verdicts
from mgbench.results.kept import FACTS, read_kept
from mgbench.results.record import Record

ROOT = Path(__file__).resolve().parents[2]
STUDIES, KEPT = Path("studies/findings"), Path("reports/findings")


@dataclass(frozen=True)
class Kept:
    """A study file (its path in the repository) with the rows that are kept of it, and the verdicts on its claims."""

    path: Path
    name: str
    facts: dict[str, Any]
    records: list[Record]
    frame: pd.DataFrame
    verdicts: list[Verdict]

    @property
    def data(self) -> str:
        """The dataset, with its tokens per image where they are known: "mnist (49 tokens)"."""
        datasets = dict.fromkeys(str(spec).partition("(")[0] for spec in self.frame["dataset"].dropna())
        counted = f" ({self.tokens:.0f} tokens)" if np.isfinite(self.tokens) else ""
        return ", ".join(datasets) + counted

    @property
    def tokens(self) -> float:
        """The tokens per image of most rows; infinite where they are not known."""
        of = {record.recipe["tokenizer"]: record.costs["tokens"] for record in self.records if "tokens" in record.costs}
        rows = Counter(of.get(record.recipe.get("tokenizer")) for record in self.records if record.about == "images")
        most = rows.most_common(1)[0][0] if rows else None
        return float("inf") if most is None else most


def gathered(root: Path = ROOT) -> list[Kept]:
    """Every study file with kept rows, by its path."""
    return list(_gathered(root))


def not_kept(root: Path = ROOT) -> list[Path]:
    """The study files without kept rows, by their paths in the repository."""
    kept = {study.path for study in gathered(root)}
    found = (path.relative_to(root) for path in sorted((root / STUDIES).glob("*.toml")))
    return [path for path in found if path not in kept]


def _gathered(root: Path) -> Iterator[Kept]:
    for path in sorted((root / STUDIES).glob("*.toml")):
        outline = read_study(path)
        folder = root / KEPT / outline.name
        if not (folder / FACTS).is_file():
            continue
        facts, records = read_kept(folder)
        frame = framed(records)
        frame.attrs["claims"] = Claims(outline.claims)
        yield Kept(path.relative_to(root), outline.name, facts, records, frame, verdicts(frame))


def framed(records: list[Record]) -> pd.DataFrame:
    """Records as the frame that a report makes of them."""
    frame = as_frame([(record, record.method) for record in records])
    frame["series"] = name_series(frame)
    return frame
