"""One row of the results: what a recipe left behind, whatever happened; and where it lies on disk."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mgbench.errors import UserError, suggestion

# 2: a row says what it is about. 3: and the checksums of the files beside it.
SCHEMA = 3

Status = Literal["done", "skipped", "failed", "diverged", "oom", "timeout", "interrupted"]
# Ends that the same recipe is likely to come to again.
FAILED: tuple[Status, ...] = ("failed", "diverged", "oom", "timeout")
About = Literal["images", "tokenizer"]


class Corrupt(Exception):
    """A stored file that is not what was written: cut short, changed, or not ours."""


@dataclass(frozen=True)
class Record:
    """What one recipe left behind.

    `recipe` holds every field spelled out (None where nothing asks the kind); `scores` and `floors` are metrics by name, the
    floor being the same metric of as many held-out real images; `costs` are counts and seconds by name; `protocol` says how
    the scores were obtained; `origin` says where, when and with which versions. A row about a tokenizer scores held-out
    images that went through it and back, the best that a model of its tokens can do; its `training_key` is the tokenizer's.
    `files` are the names and SHA-256 sums of what lies beside the record.
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
        """The folder of one trained model: `model.safetensors`, `training.csv` (step, loss, learning_rate, seconds)."""
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


def seal(content: Any) -> str:
    """Content as JSON text that carries its schema version and its checksum."""
    body = json.dumps(content, indent=1, sort_keys=True)
    return json.dumps(
        {"schema": SCHEMA, "sha256": hashlib.sha256(body.encode()).hexdigest(), "content": content}, indent=1
    )


def unseal(text: str) -> Any:
    """The content of a sealed text.

    Raises:
        Corrupt: if it is not what was sealed.
        UserError: if a newer version of mgbench wrote it.
    """
    try:
        envelope = json.loads(text)
        schema, checksum, content = int(envelope["schema"]), envelope["sha256"], envelope["content"]
    except (ValueError, KeyError, TypeError):
        raise Corrupt("it is cut short or is no record") from None
    if schema > SCHEMA:
        raise UserError(
            f"these results were written by a newer mgbench (schema {schema}, this one reads {SCHEMA}); update mgbench"
        )
    body = json.dumps(content, indent=1, sort_keys=True)
    if hashlib.sha256(body.encode()).hexdigest() != checksum:
        raise Corrupt("its checksum does not match")
    return content


def load_record(path: Path) -> Record:
    """Read one record.

    Raises:
        Corrupt: if the file is not what was written.
        FileNotFoundError: if there is none.
        UserError: if a newer version of mgbench wrote it.
    """
    content = unseal(path.read_text(encoding="utf-8", errors="replace"))
    try:
        return Record(**content)
    except TypeError:
        raise Corrupt("it does not hold a record") from None


def load_study(path: Path) -> StudyView:
    """Read which records make up a study; raises as `load_record`."""
    content = unseal(path.read_text(encoding="utf-8", errors="replace"))
    try:
        rows = tuple((key, method) for key, method in content["rows"])
        # Studies of earlier versions have no references, or no packages.
        packages = tuple(map(str, content.get("packages", ())))
        return StudyView(content["name"], rows, content["command"], content.get("references", ""), packages)
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
