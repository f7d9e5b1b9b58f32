"""Copy the results of another folder, after verifying checksums and without replacing anything."""

import itertools
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath

from mgbench.errors import UserError
from mgbench.results.files import difference, is_aside, is_temporary, is_whole_archive, sha256, write
from mgbench.results.imported import WEIGHTS
from mgbench.results.layout import Layout
from mgbench.results.record import ARRAYS, Record, StudyView, load_record, load_study
from mgbench.results.schema import Corrupt
from mgbench.results.speed import load_speed
from mgbench.results.store import MANIFEST, RECORD, Store, listed

# The folders that rows depend on, in copying order, so that a row is never copied before its model.
PUBLISHED = ("tokenizers", "models", "images", "references", "imported")
# In these, folders with one key are equal only if their files with numbers are identical. Features of real images
# differ by rounding between machines, and count as equal.
COMPARED = {"tokenizers": (".safetensors",), "models": (".safetensors",), "images": (".npz",), "imported": (WEIGHTS,)}
# The key in a record that names the folder on which the row depends, by subfolder.
RESTS_ON = {"tokenizers": "tokenizer", "models": "model", "images": "images"}


@dataclass
class Merged:
    """The outcome of a merge: paths below the results folder by room, and sentences.

    `taken` were copied; `here` existed already, with the same result. `conflicts` describe differences from existing
    results with the same key, which are kept; `damaged` describe damaged files, which were left out.
    """

    taken: dict[str, list[str]] = field(default_factory=dict)
    here: dict[str, list[str]] = field(default_factory=dict)
    conflicts: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    # Folders here that are other results than those of the same key there.
    differing: set[str] = field(default_factory=set)

    def take(self, room: str, name: str) -> None:
        """Record a copied item."""
        self.taken.setdefault(room, []).append(name)

    def keep(self, room: str, name: str) -> None:
        """Record an existing item."""
        self.here.setdefault(room, []).append(name)


def merge(source: Path, store: Store) -> Merged:
    """Copy missing rows, models and studies from another results folder, with verified checksums.

    Existing results are kept. Rows whose model, tokenizer or images differ from the existing ones are left out, so that
    they are not mixed with rows of those.

    Raises:
        UserError: if both are the same folder, or this one cannot be written.
    """
    if source.resolve() == store.root.resolve():
        raise UserError(f"{source} is the results folder itself; name another one, or another --results")
    store.check_writable()
    found, theirs = Merged(), Layout(source)
    for room in PUBLISHED:
        _each(found, theirs.root / room, partial(_published, found, store.layout, room))
    _each(found, theirs.root / "real", partial(_real, found, store.layout))
    _each(found, theirs.root / "runs", partial(_row, found, store.layout))
    _each(found, theirs.root / "studies", partial(_study, found, store))
    _each(found, theirs.root / "speed", partial(_speed, found, store.layout))
    _logs(found, theirs, store.layout)
    return found


def _each(found: Merged, room: Path, look: Callable[[Path], None]) -> None:
    """Process the contents of a subfolder; unreadable items are recorded."""
    for path in sorted(room.iterdir()) if room.is_dir() else ():
        if is_aside(path.name) or is_temporary(path.name):
            continue
        try:
            look(path)
        except FileNotFoundError:
            continue
        except (Corrupt, UserError) as reason:
            found.damaged.append(f"{path}: {reason}")
        except NotADirectoryError:
            found.damaged.append(f"{path}: it is a file where a folder should be")


def _published(found: Merged, ours: Layout, room: str, folder: Path) -> None:
    """Copy a folder with a manifest; folders without one are unfinished, and are skipped."""
    files = _whole(folder, listed(folder))
    here, name = ours.root / room / folder.name, f"{room}/{folder.name}"
    if not here.exists():
        _copy(folder, here, files, MANIFEST)
        found.take(room, folder.name)
        return
    what = _differs(here, files, COMPARED.get(room, ()))
    if what:
        found.differing.add(name)
        found.conflicts.append(f"{name} {what}; what is here stays")
    else:
        found.keep(room, folder.name)


def _differs(here: Path, theirs: Mapping[str, str], compared: tuple[str, ...]) -> str:
    """The difference of a folder here from files with these checksums, as a clause; empty if it is the same result."""
    try:
        mine = listed(here)
    except FileNotFoundError:
        return "is not finished here"
    except Corrupt as reason:
        return f"is damaged here ({reason})"
    names = [name for name in sorted({*mine, *theirs}) if name.endswith(compared)] if compared else []
    other = [name for name in names if mine.get(name) != theirs.get(name)]
    return f"is another one here: {', '.join(other)} differ{'s' if len(other) == 1 else ''}" if other else ""


def _whole(folder: Path, files: Mapping[str, str]) -> Mapping[str, str]:
    """The files of a record or manifest, after verifying their checksums.

    Raises:
        Corrupt: if one of them does not, or lies outside of the folder.
    """
    for name, checksum in files.items():
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise Corrupt(f"it names a file outside of its folder, {name!r}")
        reason = difference(folder / name, checksum)
        if reason:
            raise Corrupt(f"{name}: {reason}")
    return files


def _copy(there: Path, here: Path, files: Mapping[str, str], last: str) -> None:
    """Copy verified files, and last the file that marks the folder as complete."""
    for name, checksum in files.items():
        write(here / name, _copier(there / name, checksum))
    write(here / last, _copier(there / last))


def _copier(path: Path, checksum: str = "") -> Callable[[Path], None]:
    def put(temporary: Path) -> None:
        shutil.copyfile(path, temporary)
        if checksum and sha256(temporary) != checksum:
            raise Corrupt(f"{path.name} changed while it was copied; merge again when no run writes there")

    return put


def _real(found: Merged, ours: Layout, path: Path) -> None:
    here = ours.real(path.stem)
    if path.suffix != ".npz" or not is_whole_archive(path, ARRAYS):
        raise Corrupt("an array in it is damaged")
    if here.exists():
        found.keep("real", path.name)
    else:
        write(here, _copier(path))
        found.take("real", path.name)


def _row(found: Merged, ours: Layout, folder: Path) -> None:
    record = load_record(folder / RECORD)
    if record.key != folder.name:
        raise Corrupt(f"it is the record of {record.key}")
    files = _whole(folder, record.files)
    here = ours.run(record.key)
    if (here / RECORD).exists():
        what = _other_result(here, record)
        if what:
            found.conflicts.append(f"runs/{record.key} ({record.method}): {what}; what is here stays")
        else:
            found.keep("runs", record.key)
        return
    others = [name for name in _rests_on(record) if name in found.differing]
    if others:
        found.conflicts.append(f"runs/{record.key} ({record.method}) rests on another {others[0]}; it is left out")
        return
    _copy(folder, here, files, RECORD)
    found.take("runs", record.key)


def _rests_on(record: Record) -> Iterator[str]:
    """The folders that a row depends on, relative to the results folder."""
    yield from (f"{room}/{record.keys[name]}" for room, name in RESTS_ON.items() if name in record.keys)
    yield f"{'models' if record.about == 'images' else 'tokenizers'}/{record.training_key}"


def _other_result(here: Path, theirs: Record) -> str:
    """The difference of a row here from another of its key, as a clause; empty if status and scores are the same."""
    try:
        mine = load_record(here / RECORD)
    except (Corrupt, UserError) as reason:
        return f"it cannot be read here ({reason})"
    if mine.status != theirs.status:
        return f"{mine.status} here and {theirs.status} there"
    names = sorted({*mine.scores, *theirs.scores})
    other = [name for name in names if mine.scores.get(name) != theirs.scores.get(name)]
    said = [f"{name} is {mine.scores.get(name)} here and {theirs.scores.get(name)} there" for name in other[:2]]
    return ", ".join(said) + (f", and {len(other) - 2} more" if len(other) > 2 else "")


def _study(found: Merged, store: Store, path: Path) -> None:
    """Copy a study, under a new name if one of its name has other rows."""
    if path.suffix != ".json":
        return
    view = load_study(path)
    if view.name != path.stem:
        raise Corrupt(f"it is the study {view.name!r}")
    name, same = _free_name(store.layout, view)
    if same:
        found.keep("studies", name)
        return
    store.save_study(replace(view, name=name))
    found.take("studies", name)
    if name != view.name:
        found.conflicts.append(f"the study {view.name} has other rows here; theirs is now {name}")


def _speed(found: Merged, ours: Layout, path: Path) -> None:
    """Copy a measurement, unless there is one of the same recipe and device here, whose times are its own."""
    speed = load_speed(path)
    here = ours.speed(speed.key)
    if here.exists():
        found.keep("speed", path.name)
    else:
        write(here, _copier(path))
        found.take("speed", path.name)


def _free_name(layout: Layout, view: StudyView) -> tuple[str, bool]:
    """The first name that is free or has the same rows (then True): NAME, NAME-2, NAME-3, …"""
    for name in itertools.chain([view.name], (f"{view.name}-{number}" for number in itertools.count(2))):
        try:
            if set(load_study(layout.study(name)).rows) == set(view.rows):
                return name, True
        except FileNotFoundError:
            return name, False
        except (Corrupt, UserError):
            continue
    raise AssertionError


def _logs(found: Merged, theirs: Layout, ours: Layout) -> None:
    """Copy the logs of copied results; they have no checksums, and existing ones are kept."""
    keys = [name for room in ("tokenizers", "models", "studies") for name in found.taken.get(room, ())]
    keys += [load_record(ours.run(key) / RECORD).training_key for key in found.taken.get("runs", ())]
    for key in dict.fromkeys(keys):
        there, here = theirs.log(key), ours.log(key)
        if there.is_file() and not here.exists():
            write(here, _copier(there))
            found.take("logs", here.name)
