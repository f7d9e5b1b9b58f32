"""One row of the results: what a recipe left behind, whatever happened; and where it lies on disk."""

import dataclasses
import errno
import hashlib
import json
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mgbench.errors import UserError, suggestion

# 2: a row says what it is about. 3: and the checksums of the files beside it. 4: and how the log of one that failed ends; a
# study says what was installed.
SCHEMA = 4

# So many lines of a log say where it ended.
TAIL_LINES = 12

# What a file of images holds.
ARRAYS = ("images", "labels")

Status = Literal["done", "skipped", "failed", "diverged", "oom", "timeout", "interrupted"]
# Ends that the same recipe is likely to come to again.
FAILED: tuple[Status, ...] = ("failed", "diverged", "oom", "timeout")
About = Literal["images", "tokenizer"]


class Corrupt(Exception):
    """A stored file that is not what was written: cut short, changed, or not ours."""


class Newer(UserError):
    """A stored file that a newer version of mgbench wrote."""


@dataclass(frozen=True)
class Record:
    """What one recipe left behind.

    `recipe` holds every field spelled out (None where nothing asks the kind); `scores` and `floors` are metrics by name, the
    floor being the same metric of as many held-out real images; `costs` are counts and seconds by name; `protocol` says how
    the scores were obtained; `origin` says where, when and with which versions. A row about a tokenizer scores held-out
    images that went through it and back, the best that a model of its tokens can do; its `training_key` is the tokenizer's.
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


@dataclass(frozen=True)
class StudyView:
    """Which records make up a study, in order: pairs of key and method; its command, and the BibTeX of what it uses.

    `packages` are those that were installed where it was started, as `mgbench.environment.packages` has them.
    """

    name: str
    rows: tuple[tuple[str, str], ...]
    command: str = ""
    references: str = ""
    packages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layout:
    """Where things lie under a results folder."""

    root: Path

    def run(self, key: str) -> Path:
        """The folder of one recipe: `record.json` and, when done, `images.npz` (images uint8 [n,C,H,W], labels int64 [n])."""
        return self.root / "runs" / key

    def model(self, training_key: str) -> Path:
        """The folder of one trained model: `model.safetensors`, `training.csv`, a row for every report."""
        return self.root / "models" / training_key

    def tokenizer(self, tokenizer_key: str) -> Path:
        """The folder of one fitted tokenizer: `tokenizer.safetensors`, `fitting.csv` (step, loss, seconds)."""
        return self.root / "tokenizers" / tokenizer_key

    def real(self, fingerprint: str) -> Path:
        """Real images of a dataset to show beside samples: arrays `images` and `labels`, as in a run's `images.npz`."""
        return self.root / "real" / f"{fingerprint}.npz"

    def reference(self, key: str) -> Path:
        """The folder of real images as one extractor sees them: `features.safetensors`, and `reference.json`, what they are."""
        return self.root / "references" / key

    def study(self, name: str) -> Path:
        """The rows that make up a study."""
        return self.root / "studies" / f"{name}.json"

    @property
    def runs_at_work(self) -> Path:
        """The folder in which every `mgbench run` tells how far it is."""
        return self.root / "status"

    def claim(self, key: str) -> Path:
        """Who computes the trial of this key, while somebody does."""
        return self.root / "claims" / f"{key}.json"

    def tracker(self, plugin: str, key: str) -> Path:
        """What the tracker of a plugin keeps of the trial of one trained model, or of one tokenizer."""
        return self.root / "trackers" / plugin / key

    def log(self, key: str) -> Path:
        """What the trial of one trained model, or of one tokenizer, printed."""
        return self.root / "logs" / f"{key}.log"


def ending(text: str) -> str:
    """The last lines of what a row left that failed, as its record keeps them: without those that only underline others."""
    lines = [line for line in text.rstrip().splitlines() if line.strip("^~ ")]
    return "\n".join(lines[-TAIL_LINES:])


Upgrade = Callable[[dict[str, Any]], dict[str, Any]]


def _as_it_was(content: dict[str, Any]) -> dict[str, Any]:
    return content


# What makes of the content of a schema that of the next, for each thing that is sealed; without a gap from 1 to SCHEMA. Some
# versions wrote what is new before they raised the schema, so what is there stays.
RECORDS: dict[int, Upgrade] = {
    1: lambda content: {"about": "images", **content},
    2: lambda content: {"files": {}, **content},
    3: lambda content: {"tail": "", **content},
}
STUDIES: dict[int, Upgrade] = {
    1: lambda content: {"references": "", **content},
    2: _as_it_was,
    3: lambda content: {"packages": [], **content},
}
MANIFESTS: dict[int, Upgrade] = {1: _as_it_was, 2: _as_it_was, 3: _as_it_was}


def seal(content: Any) -> str:
    """Content as JSON text that carries its schema version and its checksum."""
    body = json.dumps(content, indent=1, sort_keys=True)
    return json.dumps(
        {"schema": SCHEMA, "sha256": hashlib.sha256(body.encode()).hexdigest(), "content": content}, indent=1
    )


def unseal(text: str, upgrades: Mapping[int, Upgrade] = MANIFESTS) -> Any:
    """The content of a sealed text, as this version would have written it.

    Raises:
        Corrupt: if it is not what was sealed.
        Newer: if a newer version of mgbench wrote it.
    """
    try:
        envelope = json.loads(text)
        schema, checksum, content = int(envelope["schema"]), envelope["sha256"], envelope["content"]
    except (ValueError, KeyError, TypeError):
        raise Corrupt("it is cut short or is no record") from None
    if schema > SCHEMA:
        raise Newer(
            f"these results were written by a newer mgbench (schema {schema}, this one reads {SCHEMA}); update mgbench"
        )
    # The checksum is that of what was written.
    body = json.dumps(content, indent=1, sort_keys=True)
    if hashlib.sha256(body.encode()).hexdigest() != checksum:
        raise Corrupt("its checksum does not match")
    try:
        for step in range(schema, SCHEMA):
            content = upgrades[step](content)
    except (KeyError, TypeError):
        raise Corrupt(f"it does not hold what results of schema {schema} do") from None
    return content


def read_sealed(path: Path, upgrades: Mapping[int, Upgrade] = MANIFESTS) -> Any:
    """The content of a sealed file; raises as `load_record`."""
    try:
        # A pipe would be waited for without end.
        if not stat.S_ISREG(path.stat().st_mode):
            raise Corrupt("it is no file")
        return unseal(path.read_text(encoding="utf-8", errors="replace"), upgrades)
    except FileNotFoundError:
        raise
    except NotADirectoryError:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from None
    except PermissionError:
        raise UserError(f"cannot read {path}: permission denied; ask its owner to let you read it") from None
    except OSError as error:
        raise Corrupt(f"it cannot be read: {(error.strerror or str(error)).lower()}") from None


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
