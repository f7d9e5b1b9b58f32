"""What a component keeps of a row lies beside it, sealed, and goes with it; what goes wrong with it loses no row."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from mgbench.interfaces.artifacts import FinishedRow
from mgbench.interfaces.progress import Progress
from mgbench.recipes.spec import Spec
from mgbench.recipes.study import Study
from mgbench.registry.loading import find, load
from mgbench.results.layout import Layout
from mgbench.results.maintenance.check import examine, mend
from mgbench.results.maintenance.inventory import removal, remove
from mgbench.results.maintenance.merge import merge
from mgbench.results.record import Record
from mgbench.results.store import Store
from mgbench.trials.artifacts import artifact_files
from mgbench.trials.plan import plan_rows, plan_trials
from mgbench.trials.trial import run_trial
from tests.doubles import TINY

PLUGIN = '''
from dataclasses import dataclass
from mgbench import hookimpl


@dataclass(frozen=True)
class Kept:
    """Keeps the first image, and the number of images beside their labels."""

    def __call__(self, generated, reference):
        return {"count": float(len(generated.features))}

    def artifacts(self, row):
        said = f"{row.method}, {len(row.images)} images, {row.recipe['sampling_steps']} steps"
        return {"first/image.bin": row.images[0].numpy().tobytes(), "about.txt": said.encode()}


@hookimpl
def mgbench_metrics():
    return {"kept": Kept}
'''


@pytest.fixture
def recorded(tmp_path: Path) -> tuple[Store, Record]:
    (tmp_path / "keeps.py").write_text(PLUGIN)
    store = Store(tmp_path / "results")
    recipe = TINY.change(metrics=(Spec("kept"),))
    (row,) = plan_rows(load([find(str(tmp_path / "keeps.py"))]), Study("s", {"m": recipe}), store)
    for trial in plan_trials([row]):
        run_trial(store, trial, torch.device("cpu"), Progress())
    record = store.record(row.key)
    assert record
    return store, record


def test_artifacts_are_sealed_checked_merged_and_removed_with_their_row(
    recorded: tuple[Store, Record], tmp_path: Path
) -> None:
    store, record = recorded
    folder = Layout(store.root).run(record.key)
    path = folder / "artifacts/Kept/about.txt"
    assert path.read_text() == "m, 20 images, 2 steps"
    assert {"artifacts/Kept/about.txt", "artifacts/Kept/first/image.bin"} <= set(record.files)
    assert examine(store.root).findings == []
    merge(store.root, Store(tmp_path / "other"))
    assert (tmp_path / "other" / path.relative_to(store.root)).read_bytes() == path.read_bytes()
    path.write_text("something else")
    (finding,) = examine(store.root).broken
    assert "artifacts/Kept/about.txt: its checksum does not match" in finding.says
    assert store.record(record.key) is None
    mend(examine(store.root))
    remove(removal(store.layout, [record.key]).paths)
    assert not folder.exists()


@dataclass(frozen=True)
class Bad:
    files: Mapping[str, object] = field(default_factory=dict)

    def artifacts(self, row: FinishedRow) -> Mapping[str, object]:
        if not self.files:
            raise ValueError("no image")
        return self.files


ROW = FinishedRow("key", "m", {}, torch.zeros(1, 1, 2, 2, dtype=torch.uint8), torch.zeros(1), {}, {})


@pytest.mark.parametrize(
    ("component", "said"),
    [
        (Bad(), "ValueError: no image"),
        (Bad({"../out": b""}), "'../out' cannot name a file"),
        (Bad({"/out": b""}), "'/out' cannot name a file"),
        (Bad({"text": "words"}), "'text' is str; return the bytes"),
    ],
)
def test_what_cannot_be_kept_is_a_warning(component: Bad, said: str) -> None:
    files, (warning,) = artifact_files([component], ROW)
    assert files == {}
    assert f"artifacts of Bad are not kept: {said}" in warning


def test_components_of_one_class_have_folders_of_their_own() -> None:
    files, warnings = artifact_files([Bad({"a": b"1"}), Bad({"a": b"2"})], ROW)
    assert (sorted(files), warnings) == (["artifacts/Bad-2/a", "artifacts/Bad/a"], [])
