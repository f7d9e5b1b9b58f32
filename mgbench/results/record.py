"""Records: one row of the results each, whether the recipe succeeded or not; and the list of rows of a study."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mgbench.errors import UserError, suggestion
from mgbench.results.layout import Layout
from mgbench.results.schema import RECORDS, STUDIES, Corrupt, read_sealed
from mgbench.results.tuning import Tuning, read_tuning

# The number of log lines kept in a record.
TAIL_LINES = 12

# The arrays of a file of images.
ARRAYS = ("images", "labels")

Status = Literal["done", "skipped", "failed", "diverged", "oom", "timeout", "interrupted"]
# Statuses that the same recipe is likely to reach again.
FAILED: tuple[Status, ...] = ("failed", "diverged", "oom", "timeout")
About = Literal["images", "tokenizer"]


@dataclass(frozen=True)
class Record:
    """The result of one recipe.

    `recipe` holds every field in full (None where no part uses the kind); `scores` and `floors` are metrics by name, a floor
    being the same metric of as many held-out real images; `costs` are counts and seconds by name; `protocol` identifies how
    the scores were obtained; `origin` holds machine, versions, command and times. A row about a tokenizer scores its
    reconstructions of held-out images, a bound for models of its tokens; its `training_key` is that of the tokenizer.
    `keys` are those of its tokenizer, model, images, and of the references of real and held-out images.
    `declared` holds for each score the declaration of its metric (`mgbench.interfaces.scores.ScoreInfo.plain`).
    `files` are the names and SHA-256 sums of the files beside the record, `tail` the end of the log of a failed row.
    """

    key: str
    training_key: str
    method: str
    status: Status
    recipe: dict[str, Any]
    reason: str = ""
    scores: dict[str, float] = field(default_factory=dict)
    floors: dict[str, float] = field(default_factory=dict)
    costs: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    protocol: str = ""
    data: str = ""
    origin: dict[str, Any] = field(default_factory=dict)
    about: About = "images"
    files: dict[str, str] = field(default_factory=dict)
    tail: str = ""
    keys: dict[str, str] = field(default_factory=dict)
    declared: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class StudyView:
    """The rows of a study in order, as pairs of key and method, its command, and the BibTeX entries of its parts.

    `packages` are those installed where the study was started, as in `mgbench.results.environment.packages`. `claims`
    are the claims of its file as plain values (`mgbench.recipes.claims.Claim.plain`). `tuning` is the search that found
    one of its recipes, if one did.
    """

    name: str
    rows: tuple[tuple[str, str], ...]
    command: str = ""
    references: str = ""
    packages: tuple[str, ...] = ()
    claims: tuple[dict[str, Any], ...] = ()
    tuning: Tuning | None = None


def ending(text: str) -> str:
    """The last lines of a log, for the record of a failed row; lines that only underline others are left out."""
    lines = [line for line in text.rstrip().splitlines() if line.strip("^~ ")]
    return "\n".join(lines[-TAIL_LINES:])


def load_record(path: Path) -> Record:
    """Read one record.

    Raises:
        Corrupt: if the file is truncated, modified, or not a record.
        FileNotFoundError: if there is none.
        Newer: if a newer version of mgbench wrote it.
        UserError: if the permissions do not allow reading it.
    """
    content = read_sealed(path, RECORDS)
    try:
        return Record(**content)
    except TypeError:
        raise Corrupt("it does not hold a record") from None


def load_study(path: Path) -> StudyView:
    """Read the rows of a study; raises as `load_record`."""
    content = read_sealed(path, STUDIES)
    try:
        rows = tuple((key, method) for key, method in content["rows"])
        packages = tuple(map(str, content["packages"]))
        claims = tuple(map(dict, content["claims"]))
        tuning = read_tuning(content.get("tuning"))
        return StudyView(content["name"], rows, content["command"], content["references"], packages, claims, tuning)
    except (KeyError, TypeError, ValueError):
        raise Corrupt("it does not hold a study") from None


def find_study(layout: Layout, name: str) -> StudyView:
    """Read the rows of a study by its name.

    Raises:
        UserError: if there is none, with the nearest name, or if it cannot be read.
    """
    path = layout.study(name)
    try:
        return load_study(path)
    except FileNotFoundError:
        known = [other.stem for other in path.parent.glob("*.json")]
        raise UserError(f"{layout.root} holds no study {name!r}; {suggestion(name, known)}") from None
    except Corrupt as problem:
        raise UserError(f"the study {path} cannot be read ({problem}); run it again") from None


def as_content(value: Record | StudyView) -> dict[str, Any]:
    """The fields as plain values, ready to seal."""
    return dataclasses.asdict(value)
