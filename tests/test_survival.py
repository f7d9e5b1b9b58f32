"""Whatever is stored may be cut short or change on the disk: it is found, set aside, and computed again to the same."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mgbench.errors import UserError
from mgbench.interfaces.engine import Message
from mgbench.interfaces.progress import Interrupted, Progress
from mgbench.recipes.spec import Spec
from mgbench.recipes.study import Study
from mgbench.registry.loading import find, load
from mgbench.registry.registry import Registry
from mgbench.results.maintenance.check import examine, mend
from mgbench.results.record import StudyView, load_record, load_study
from mgbench.results.store import CHECKPOINT, MANIFEST, RECORD, Store, listed
from mgbench.trials.kept_images import COSTS
from mgbench.trials.plan import plan_rows, plan_tokenizers, plan_trials
from mgbench.trials.trial import run_trial
from tests import doubles
from tests.doubles import TINY
from tests.messages import stages

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")
MORE = (*TINY.metrics, Spec("prdc"))
RECIPE = TINY.change(tokenizer="counted(steps=2)", train_steps=40)
# Every sort of file in a finished folder, and what is left of a training that was stopped.
CHECKPOINTED = f"models/{CHECKPOINT}"
KINDS = (
    *("models/manifest.json", "models/model.safetensors", "models/training.csv", CHECKPOINTED),
    *("tokenizers/manifest.json", "tokenizers/tokenizer.safetensors", "tokenizers/fitting.csv"),
    *("images/manifest.json", "images/images.npz", "images/costs.json", "images/film.npz", "images/curves.json"),
    *("references/manifest.json", "references/features.safetensors", "references/reference.json"),
    *("references/state.safetensors", "references/floors.json"),
    *("runs/record.json", "runs/images.npz", "runs/film.npz", "runs/nearest.npz", "runs/curves.json"),
    *("real/*.npz", "studies/*.json"),
)
LOGS = "logs"
TIMED = "seconds"


def kind(root: Path, path: Path) -> str:
    parts = path.relative_to(root).parts
    return f"{parts[0]}/{parts[-1] if len(parts) > 2 else '*' + path.suffix}"


def of_kind(root: Path, wanted: str) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file() and kind(root, path) == wanted)


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load([find(doubles.FILE)])


def run(registry: Registry, root: Path, progress: Progress | None = None, **more: Any) -> list[str]:
    """The study, and with `more` another row of the same model; what was found broken, without notes on so few images."""
    store = Store(root)
    recipes = {"m": RECIPE, **({"other": RECIPE.change(**more)} if more else {})}
    rows = plan_rows(registry, Study("s", recipes), store)
    rows = [*plan_tokenizers(rows, store), *rows]
    of_study = [row for row in rows if row.method != "other" and row.assembly.recipe.metrics == RECIPE.metrics]
    store.save_study(StudyView("s", tuple((row.key, row.method) for row in of_study)))
    for trial in plan_trials(rows):
        run_trial(store, trial, CPU, progress or Progress())
    return [note for note in store.notes if "covariance is singular" not in note]


@pytest.fixture(scope="module")
def whole(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("whole")
    assert run(registry, root) == []
    return root


@pytest.fixture(scope="module")
def stopped(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same study, stopped in the middle of its training."""
    root, trained = tmp_path_factory.mktemp("stopped"), list[str]()

    def note(message: Message) -> None:
        trained.extend(now.stage for now in stages([message], "train"))

    with pytest.raises(Interrupted):
        run(registry, root, Progress(note, lambda: bool(trained)))
    return root


@pytest.fixture
def copy(whole: Path, stopped: Path, tmp_path: Path) -> Callable[[str], Path]:
    """A folder of its own that holds a file of a kind."""

    def made(wanted: str) -> Path:
        return Path(shutil.copytree(stopped if wanted == CHECKPOINTED else whole, tmp_path / "results"))

    return made


def truncated(content: bytes, random: np.random.Generator) -> bytes:
    return content[: random.integers(0, len(content))]


def flipped(content: bytes, random: np.random.Generator) -> bytes:
    """One bit changed, outside of the digit that says the schema: that of a newer one is not broken but refused."""
    schema = content.find(b'"schema": ') + len(b'"schema": ')
    places = [place for place in range(len(content)) if place != schema or not content.startswith(b"{")]
    place = int(random.choice(places))
    return content[:place] + bytes([content[place] ^ (1 << int(random.integers(8)))]) + content[place + 1 :]


DAMAGES = {"truncated": truncated, "flipped": flipped}


def meaning(path: Path) -> Any:
    """What a file says, without the times that no two runs share."""
    if path.name == RECORD:
        record = load_record(path)
        return record.status, record.recipe, record.scores, record.floors, record.protocol, record.files
    if path.name == MANIFEST:
        files = listed(path.parent).items()
        return {name: checksum for name, checksum in files if not name.endswith(".csv") and name != COSTS}
    if path.name == COSTS:
        found = json.loads(path.read_text())
        return {**found, "costs": {name: cost for name, cost in found["costs"].items() if not _is_measured(name)}}
    if path.parent.name == "studies":
        return load_study(path)
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            return [{name: value for name, value in row.items() if name != TIMED} for row in csv.DictReader(file)]
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            return {name: arrays[name].tolist() for name in arrays}
    return path.read_bytes()


def _is_measured(cost: str) -> bool:
    return TIMED in cost or "bytes" in cost


def test_the_law_below_is_about_every_sort_of_file(whole: Path, stopped: Path) -> None:
    found = {kind(root, path) for root in (whole, stopped) for path in root.rglob("*") if path.is_file()}
    assert {name for name in found if not name.startswith(LOGS)} == set(KINDS)


def test_a_whole_folder_is_whole(whole: Path, stopped: Path) -> None:
    """The law below would also hold for who finds everything broken."""
    for root in (whole, stopped):
        checkup = examine(root)
        assert checkup.broken == []
        assert checkup.files == sum(path.is_file() for path in root.rglob("*"))


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("wanted", KINDS)
def test_every_file_that_is_damaged_anywhere_is_found_and_mended(
    copy: Callable[[str], Path], wanted: str, damage: str
) -> None:
    """What a flipped bit leaves unfound changes nothing that the file says."""
    root, random = copy(wanted), np.random.default_rng([KINDS.index(wanted), len(damage)])
    path = of_kind(root, wanted)[0]
    content, said, unfound = path.read_bytes(), meaning(path), 0
    for _ in range(12):
        path.write_bytes(DAMAGES[damage](content, random))
        broken = examine(root).broken
        if not broken:
            unfound += 1
            assert meaning(path) == said
            continue
        assert [finding.paths for finding in broken] == [(path,)]
    assert unfound == 0 or (damage == "flipped" and unfound < 9 and path.suffix in (".json", ".npz"))
    path.write_bytes(content[:-20])
    mend(examine(root))
    assert not path.exists()
    assert path.with_name(f"{path.name}.corrupt").read_bytes() == content[:-20]
    assert examine(root).broken == []


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("wanted", KINDS)
def test_every_file_that_is_damaged_is_set_aside_and_computed_again_to_the_same(
    registry: Registry, copy: Callable[[str], Path], whole: Path, wanted: str, damage: str
) -> None:
    root, random = copy(wanted), np.random.default_rng(7)
    path = of_kind(root, wanted)[0]
    content = path.read_bytes()
    while not examine(root).broken:
        path.write_bytes(DAMAGES[damage](content, random))
    spoiled = path.read_bytes()
    # Images that were kept are read when a metric is added, and all else by another row of the same model.
    run(registry, root, **({"metrics": MORE} if wanted.startswith("images/") else {"sampling_steps": 1}))
    assert path.with_name(f"{path.name}.corrupt").read_bytes() == spoiled
    assert examine(root).broken == []
    for original in whole.rglob("*"):
        if original.is_file() and original.suffix != ".log":
            again = root / original.relative_to(whole)
            assert meaning(again) == meaning(original), again


@pytest.mark.parametrize("wanted", KINDS)
def test_a_folder_in_the_place_of_any_file_is_found_and_set_aside(copy: Callable[[str], Path], wanted: str) -> None:
    root = copy(wanted)
    path = of_kind(root, wanted)[0]
    path.unlink()
    path.mkdir()
    assert [finding.paths for finding in examine(root).broken] == [(path,)]
    mend(examine(root))
    assert not path.exists()
    assert path.with_name(f"{path.name}.corrupt").is_dir()
    assert examine(root).broken == []


@pytest.mark.parametrize("room", ["runs", "models", "tokenizers", "references"])
def test_a_file_in_the_place_of_a_folder_is_refused_in_a_sentence_and_mended(
    registry: Registry, copy: Callable[[str], Path], room: str
) -> None:
    root = copy("")
    folder = sorted((root / room).iterdir())[0]
    shutil.rmtree(folder)
    folder.write_text("a file")
    (finding,) = examine(root).broken
    assert finding.paths == (folder,)
    with pytest.raises(UserError, match="cannot write"):
        Store(root).save_folder(folder, {"file": lambda path: None})
    mend(examine(root))
    run(registry, root, sampling_steps=1)
    assert folder.is_dir()
    assert examine(root).broken == []
