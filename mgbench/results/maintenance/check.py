"""Check every file of a results folder; for each damaged one, report the consequence and the remedy."""

from collections.abc import Callable, Iterator
from pathlib import Path

from mgbench.errors import UserError
from mgbench.results.files import difference, is_whole_archive
from mgbench.results.former import is_former
from mgbench.results.layout import Layout
from mgbench.results.maintenance.findings import (
    REMOVED,
    Checkup,
    Finding,
    category_finding,
    is_abandoned,
    is_folder,
    readable,
    within,
)
from mgbench.results.maintenance.inventory import unused
from mgbench.results.record import ARRAYS, Record, load_record, load_study
from mgbench.results.schema import Corrupt, read_sealed
from mgbench.results.speed import load_speed
from mgbench.results.store import ARTIFACTS, CHECKPOINT, MANIFEST, RECORD, Store, listed, read_checkpoint
from mgbench.results.wording import counted

# A page about the folder itself, which users may keep in it.
README = "README.md"


def examine(root: Path, progress: Callable[[Checkup], None] = lambda checkup: None) -> Checkup:
    """Check every file of a results folder; `progress` is called after each of its subfolders.

    Raises:
        UserError: if the path is a file.
    """
    if root.exists() and not root.is_dir():
        raise UserError(f"{root} is no folder; name the one that 'mgbench run' wrote its results to")
    checkup = Checkup(root)
    for path in within(checkup, root):
        if path.name == README:
            continue
        check = ROOMS.get(FORMER_ROOMS.get(path.name, path.name))
        if check is None:
            checkup.note("unknown", path)
        elif is_folder(checkup, path):
            for inner in within(checkup, path):
                with readable(checkup, inner):
                    check(checkup, inner)
                progress(checkup)
    _newer(checkup)
    # Rows that cannot be read may refer to anything, so nothing counts as unused then.
    if not checkup.broken and "aside" not in checkup.by_category:
        _unused(checkup)
    checkup.findings += [category_finding(checkup, about, paths) for about, paths in checkup.by_category.items()]
    return checkup


def mend(checkup: Checkup) -> list[str]:
    """Set damaged files aside and remove leftovers; a sentence for each.

    Raises:
        UserError: if the folder cannot be written.
    """
    store = Store(checkup.root)
    store.check_writable()
    for finding in checkup.findings:
        if finding.mend:
            finding.mend(store)
    left = [path for about in REMOVED for path in checkup.by_category.get(about, ())]
    return [*store.notes, *(f"{path} is removed" for path in left)]


def _newer(checkup: Checkup) -> None:
    paths = checkup.by_category.pop("newer", [])
    if paths:
        said = (
            f"{counted(len(paths), 'file')} of a newer mgbench ({paths[0]}), which this one cannot read; update mgbench"
        )
        checkup.findings.append(Finding(said, tuple(paths), True))


def _look_at_row(checkup: Checkup, folder: Path) -> None:
    if not is_folder(checkup, folder):
        return
    inside = {path.relative_to(folder).as_posix(): path for path in _of_row(checkup, folder)}
    path = inside.pop(RECORD, None)
    if path is None:
        _count(checkup, inside)
        checkup.note("unfinished", folder)
        return
    checkup.count(path)
    try:
        record = load_record(path)
        if record.key != folder.name:
            raise Corrupt(f"it is the record of {record.key}")
    except Corrupt as reason:
        _count(checkup, inside)
        costs = "reports lack its row"
        checkup.add_damage(path, f"damaged: {reason}", costs, lambda store: _drop(store.record(folder.name)))
        return
    if is_former(path):
        checkup.note("former", folder)
    _look_beside(checkup, folder, record, inside)


def _of_row(checkup: Checkup, folder: Path) -> Iterator[Path]:
    """The contents of the folder of a row, with all files below its artifacts; another folder stands as it is."""
    for path in within(checkup, folder):
        yield from _files_in(checkup, path) if path.name == ARTIFACTS else (path,)


def _files_in(checkup: Checkup, path: Path) -> Iterator[Path]:
    """The files in a folder and its subfolders; a file is itself."""
    if path.is_dir() and not path.is_symlink():
        for inner in within(checkup, path):
            yield from _files_in(checkup, inner)
    else:
        yield path


def _count(checkup: Checkup, inside: dict[str, Path]) -> None:
    """Count files that have no checksum."""
    for path in inside.values():
        checkup.count(path)


def _drop(found: object) -> None:
    """Discard the result of a read through the store, which is made only because it sets damaged files aside."""


def _look_beside(checkup: Checkup, folder: Path, record: Record, inside: dict[str, Path]) -> None:
    for name, checksum in record.files.items():
        path = inside.pop(name, folder / name)
        reason = difference(path, checksum)
        if reason and not path.exists() and (folder / f"{name}.corrupt").exists():
            checkup.note("waiting", folder)
            continue
        checkup.count(path)
        if reason:
            costs = "reports lack what it shows, and the row counts as not computed"
            checkup.add_damage(path, reason, costs, lambda store: _set_row_aside(store, folder))
    for path in inside.values():
        checkup.count(path)
        # Records of the first schemas do not list the files beside them.
        if record.files:
            checkup.note("unknown", path)


def _set_row_aside(store: Store, folder: Path) -> None:
    """Set aside the damaged files of a row; where a file is missing, its record, so that the row is computed again."""
    files = load_record(folder / RECORD).files if (folder / RECORD).exists() else {}
    _drop(store.record(folder.name))
    gone = [name for name in files if not (folder / name).exists() and not (folder / f"{name}.corrupt").exists()]
    if gone:
        store.set_aside(folder / RECORD, f"{gone[0]} is missing")


def _folders(costs: str) -> Callable[[Checkup, Path], None]:
    """A check of folders with a manifest; `costs` is the consequence of a damaged file in one."""

    def look(checkup: Checkup, folder: Path) -> None:
        if not is_folder(checkup, folder):
            return
        inside = {path.name: path for path in within(checkup, folder)}
        checkpoint = inside.pop(CHECKPOINT, None)
        if checkpoint:
            _look_at_checkpoint(checkup, folder, finished=MANIFEST in inside)
        manifest = inside.pop(MANIFEST, None)
        if manifest is None:
            _count(checkup, inside)
            checkup.note("unfinished", folder)
            return
        _look_at_folder(checkup, folder, inside, costs)

    return look


def _look_at_folder(checkup: Checkup, folder: Path, inside: dict[str, Path], costs: str) -> None:
    def again(store: Store) -> None:
        store.complete(folder)

    checkup.count(folder / MANIFEST)
    try:
        files = listed(folder)
    except Corrupt as reason:
        _count(checkup, inside)
        checkup.add_damage(folder / MANIFEST, f"damaged: {reason}", costs, again)
        return
    for name, checksum in files.items():
        path = inside.pop(name, folder / name)
        checkup.count(path)
        wrong = difference(path, checksum)
        if wrong:
            checkup.add_damage(path, wrong, costs, again)
    for path in inside.values():
        checkup.count(path)
        checkup.note("unknown", path)


def _look_at_checkpoint(checkup: Checkup, folder: Path, finished: bool) -> None:
    path = folder / CHECKPOINT
    checkup.count(path)
    if finished:
        checkup.note("spent", path)
        return
    try:
        read_checkpoint(path)
    except Corrupt as reason:
        costs = "the training begins anew"
        checkup.add_damage(path, reason, costs, lambda store: _drop(store.checkpoint(folder)))


def _look_at_real(checkup: Checkup, path: Path) -> None:
    checkup.count(path)
    if path.suffix != ".npz":
        checkup.note("unknown", path)
    elif not is_whole_archive(path, ARRAYS):
        reason = "an array in it is damaged"
        costs = "reports show no real images beside others"
        checkup.add_damage(path, reason, costs, lambda store: store.set_aside(path, reason))


def _look_at_study(checkup: Checkup, path: Path) -> None:
    checkup.count(path)
    if path.suffix != ".json":
        checkup.note("unknown", path)
        return
    try:
        view = load_study(path)
    except Corrupt as reason:
        said = str(reason)
        costs = "nothing can be reported of the study by its name, and its rows are kept"
        checkup.add_damage(path, f"damaged: {said}", costs, lambda store: store.set_aside(path, said))
        return
    layout = Layout(checkup.root)
    if not all((layout.run(key) / RECORD).exists() for key, _ in view.rows):
        checkup.note("missing", path)


def _look_at_log(checkup: Checkup, path: Path) -> None:
    checkup.count(path)
    if path.suffix != ".log":
        checkup.note("unknown", path)


def _sealed(load: Callable[[Path], object], costs: str) -> Callable[[Checkup, Path], None]:
    """A check of sealed files; `costs` is the consequence of a damaged one."""

    def look(checkup: Checkup, path: Path) -> None:
        checkup.count(path)
        try:
            load(path)
        except Corrupt as reason:
            said = str(reason)
            checkup.add_damage(path, f"damaged: {said}", costs, lambda store: store.set_aside(path, said))

    return look


def _look_at_lock(checkup: Checkup, path: Path) -> None:
    """Note a lease: its holder renews it, and no run relies on its content."""
    checkup.count(path)
    checkup.note("leftover" if is_abandoned(path) else "locked", path)


def _look_at_tracker(checkup: Checkup, folder: Path) -> None:
    """Count the files of a tracker, which only the tracker reads."""
    for path in folder.rglob("*"):
        if path.is_file():
            checkup.count(path)


def _unused(checkup: Checkup) -> None:
    """Note the paths that no row refers to, apart from those already noted as unfinished or unknown."""
    known = {*checkup.by_category.get("unfinished", ()), *checkup.by_category.get("unknown", ())}
    for path in unused(Layout(checkup.root)).along:
        if path not in known:
            checkup.note("unused", path)


# Folders of earlier versions, by the present name.
FORMER_ROOMS = {"claims": "locks"}
ROOMS: dict[str, Callable[[Checkup, Path], None]] = {
    "runs": _look_at_row,
    "imported": _folders("what was imported has to be imported again"),
    "models": _folders("the model counts as not trained, and the next sampling of it trains it again"),
    "images": _folders("a metric that is added later draws these images again"),
    "tokenizers": _folders("the tokenizer counts as not fitted, and the next training on it fits it again"),
    "tokens": _folders("the next training on these tokens encodes what is damaged again"),
    "references": _folders("the extractor looks at these real images again"),
    "real": _look_at_real,
    "studies": _look_at_study,
    "speed": _sealed(load_speed, "plans and reports lack what it measured; mgbench speed measures it again"),
    "logs": _look_at_log,
    "locks": _look_at_lock,
    "status": _sealed(read_sealed, "mgbench status leaves its run out"),
    "trackers": _look_at_tracker,
}
