"""One row of the results: what a recipe left behind, whatever happened."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mgbench.errors import UserError, suggestion
from mgbench.results.layout import Layout
from mgbench.results.schema import RECORDS, STUDIES, Corrupt, read_sealed

# So many lines of a log say where it ended.
TAIL_LINES = 12

# What a file of images holds.
ARRAYS = ("images", "labels")

Status = Literal["done", "skipped", "failed", "diverged", "oom", "timeout", "interrupted"]
# Ends that the same recipe is likely to come to again.
FAILED: tuple[Status, ...] = ("failed", "diverged", "oom", "timeout")
About = Literal["images", "tokenizer"]


@dataclass(frozen=True)
class Record:
    """What one recipe left behind.

    `recipe` holds every field spelled out (None where nothing asks the kind); `scores` and `floors` are metrics by name, the
    floor being the same metric of as many held-out real images; `costs` are counts and seconds by name; `protocol` says how
    the scores were obtained; `origin` says where, when and with which versions. A row about a tokenizer scores held-out
    images that went through it and back, the best that a model of its tokens can do; its `training_key` is the tokenizer's.
    `keys` name what it rests on: its tokenizer, model, images, and the references of real and held-out images.
    `declared` has, for each score, what its metric declares of it (`mgbench.interfaces.scores.ScoreInfo.plain`).
    `files` are the names and SHA-256 sums of what lies beside the record, `tail` how the log of a row ends that failed.
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
    """Which records make up a study, in order: pairs of key and method; its command, and the BibTeX of what it uses.

    `packages` are those that were installed where it was started, as `mgbench.results.environment.packages` has them.
    """

    name: str
    rows: tuple[tuple[str, str], ...]
    command: str = ""
    references: str = ""
    packages: tuple[str, ...] = ()


def ending(text: str) -> str:
    """The last lines of what a row left that failed, as its record keeps them: without those that only underline others."""
    lines = [line for line in text.rstrip().splitlines() if line.strip("^~ ")]
    return "\n".join(lines[-TAIL_LINES:])


def load_record(path: Path) -> Record:
    """Read one record.

    Raises:
        Corrupt: if the file is not what was written, or is no file.
        FileNotFoundError: if there is none.
        Newer: if a newer version of mgbench wrote it.
        UserError: if it may not be read.
    """
    content = read_sealed(path, RECORDS)
    try:
        return Record(**content)
    except TypeError:
        raise Corrupt("it does not hold a record") from None


def load_study(path: Path) -> StudyView:
    """Read which records make up a study; raises as `load_record`."""
    content = read_sealed(path, STUDIES)
    try:
        rows = tuple((key, method) for key, method in content["rows"])
        packages = tuple(map(str, content["packages"]))
        return StudyView(content["name"], rows, content["command"], content["references"], packages)
    except (KeyError, TypeError, ValueError):
        raise Corrupt("it does not hold a study") from None


def find_study(layout: Layout, name: str) -> StudyView:
    """Read which records make up a study, by its name.

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
    """The plain values to seal."""
    return dataclasses.asdict(value)
