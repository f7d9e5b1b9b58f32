"""The inventory of a results folder: which rows refer to which files; files that no row refers to can be removed."""

import contextlib
import json
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from mgbench.errors import UserError
from mgbench.results.files import is_aside, is_temporary
from mgbench.results.layout import Layout
from mgbench.results.record import Record, StudyView, load_record, load_study
from mgbench.results.schema import Corrupt
from mgbench.results.store import FACTS, RECORD, TOKENS

T = TypeVar("T")
# Names of keys in a record.
TOKENIZER, IMAGES = "tokenizer", "images"


@dataclass(frozen=True)
class Removal:
    """Rows to remove, the files that only they refer to, and the studies that would be empty without them.

    `shared` are studies that lose some of their rows.
    """

    rows: tuple[Record, ...]
    folders: tuple[Path, ...]
    along: tuple[Path, ...]
    shared: tuple[str, ...] = ()

    @property
    def paths(self) -> tuple[Path, ...]:
        """All paths to remove, rows first."""
        return (*self.folders, *self.along)


def stored_records(layout: Layout) -> dict[str, Record]:
    """Every readable record, by key; `mgbench doctor` reports the others.

    Raises:
        UserError: if a newer version of mgbench wrote one, or the permissions do not allow reading it.
    """
    found = _readable((layout.root / "runs").glob(f"*/{RECORD}"), load_record)
    return {record.key: record for path, record in found if record.key == path.parent.name}


def stored_studies(layout: Layout) -> dict[str, StudyView]:
    """Every readable study, by name; raises as `stored_records`."""
    found = _readable(layout.study("x").parent.glob("*.json"), load_study)
    return {path.stem: view for path, view in found}


def _readable(paths: Iterable[Path], load: Callable[[Path], T]) -> Iterator[tuple[Path, T]]:
    for path in sorted(paths):
        with contextlib.suppress(Corrupt, FileNotFoundError):
            yield path, load(path)


def referred(layout: Layout, rows: Iterable[Record], known: Collection[Record]) -> set[Path]:
    """The models, tokenizers, drawn images, references, logs and real images that rows refer to.

    A row written before schema 5 does not name its tokenizer: it is that of a row among `known` about the same tokenizer of the
    same data; if there is none, it may be any tokenizer that no row is about.
    """
    tokenizers: dict[Any, set[str]] = {}
    for record in known:
        if record.about == TOKENIZER:
            tokenizers.setdefault(_tokenized(record), set()).add(record.training_key)
    named = set().union(*tokenizers.values())
    unnamed = {path.name for path in _children(layout.tokenizer("x").parent)} - named
    references = [(path.parent, *_facts(path)) for path in layout.reference("x").parent.glob(f"*/{FACTS}")]
    tokens = [(path.parent, _tokenizer_of(path)) for path in layout.tokens("x").parent.glob(f"*/{TOKENS}")]
    found: set[Path] = set()
    for record in rows:
        if record.status == "skipped":
            continue
        named_by = {key for name, key in record.keys.items() if name == TOKENIZER}
        of_others = {record.training_key} if record.about == TOKENIZER else tokenizers.get(_tokenized(record), unnamed)
        own = named_by or of_others
        found |= {folder for folder, key in tokens if key in own}
        found |= {layout.tokenizer(key) for key in own} | {layout.log(key) for key in (*own, record.training_key)}
        found |= {layout.model(record.training_key), layout.real(record.data)}
        found |= {layout.images(key) for name, key in record.keys.items() if name == IMAGES}
        found |= {folder for folder, data, extractor in references if _measured(record, data, extractor)}
    # A key with a slash or dots was not made by us, and would lead to another folder.
    return {path for path in found if path.exists() and path.parent.parent == layout.root and path.name != ".."}


def _tokenized(record: Record) -> tuple[Any, ...]:
    return record.data, record.recipe.get("dataset"), record.recipe.get("tokenizer")


def _measured(record: Record, data: str, extractor: str) -> bool:
    """Whether a row was scored against a reference, or may be once it is finished."""
    return record.data == data and (not record.protocol or record.protocol.endswith(f"/{extractor}"))


def _facts(path: Path) -> tuple[str, str]:
    """The data and the extractor of a reference."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        return str(facts["data"]), str(facts["extractor"][1])
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return "", ""


def _tokenizer_of(path: Path) -> str:
    """The key of the tokenizer that encoded some tokens."""
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["tokenizer"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def removal(layout: Layout, keys: Collection[str]) -> Removal:
    """Everything to remove together with the rows of these keys."""
    records = stored_records(layout)
    rows = tuple(records[key] for key in keys if key in records)
    left = [record for key, record in records.items() if key not in set(keys)]
    known = list(records.values())
    along = referred(layout, rows, known) - referred(layout, left, known)
    kept, gone = {record.key for record in left}, {record.key for record in rows}
    views = {name: {key for key, _ in view.rows} for name, view in stored_studies(layout).items()}
    empty = [
        path
        for name, keys in views.items()
        if keys & gone and not keys & kept
        for path in (layout.study(name), layout.log(name))
        if path.exists()
    ]
    shared = tuple(name for name, keys in views.items() if keys & gone and keys & kept)
    folders = tuple(layout.run(record.key) for record in rows)
    return Removal(rows, folders, (*sorted(along), *sorted(empty)), shared)


def unused(layout: Layout) -> Removal:
    """All files that no row refers to; files of a run in progress are among them until it records its rows."""
    known = list(stored_records(layout).values())
    kept = referred(layout, known, known) | {layout.log(name) for name in stored_studies(layout)}
    stored = (layout.model, layout.tokenizer, layout.images, layout.tokens, layout.reference, layout.log, layout.real)
    rooms = [place("x") for place in stored]
    lying = {path for room in rooms for path in _children(room.parent)}
    return Removal((), (), tuple(sorted(lying - kept)))


def _children(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (path for path in folder.iterdir() if not is_aside(path.name) and not is_temporary(path.name))


def size(path: Path) -> int:
    """The bytes of a file, or of all files in a folder; links are not followed."""
    try:
        if path.is_dir() and not path.is_symlink():
            return sum(size(inner) for inner in path.iterdir())
        return path.lstat().st_size
    except FileNotFoundError:
        return 0


def remove(paths: Iterable[Path]) -> None:
    """Remove files, and folders with their contents; of a link, the link only.

    Raises:
        UserError: if a path cannot be removed; those before it are removed already.
    """
    for path in paths:
        try:
            # The record goes first: without it the row counts as not computed, even if removing the rest fails.
            (path / RECORD).unlink(missing_ok=True) if path.is_dir() else None
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise UserError(f"cannot remove {path}: {(error.strerror or str(error)).lower()}") from None
