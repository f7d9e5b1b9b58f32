"""The folder that a page's commands suppose, with images, weights and rows; and runs that store rows without computing them."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mgbench.cli.commands import prepare, run
from mgbench.cli.study.selection import Chosen
from mgbench.recipes.spec import Spec
from mgbench.results.known_scores import known_scores
from mgbench.results.store import Store
from mgbench.trials.plan import Row
from tests.docs.blocks import ROOT, blocks
from tests.ldm import layout
from tests.report import synthetic

CHECKPOINTS = ("eMIGM_large_256_checkpoint.pth", "checkpoint.pth")


def made(folder: Path) -> Path:
    """A world: what readers are supposed to have, at a hundredth of the size."""
    random = np.random.default_rng(0)
    for name, side, channels, count in (
        ("photos/train", 16, 3, 12), ("photos/val", 16, 3, 6), ("samples", 8, 1, 40), ("reals", 8, 1, 40), ("more", 8, 1, 40),
        ("test", 8, 1, 12), ("train", 8, 1, 12), ("others", 16, 3, 12), ("data/imagenet64", 8, 1, 40),
        ("data/imagenet/train", 16, 3, 12), ("data/imagenet/val", 16, 3, 6),
    ):  # fmt: skip
        for index in range(count):
            path = folder / name / ("cat", "dog")[index % 2] / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.integers(0, 256, (side, side, channels), np.uint8).squeeze()).save(path)
    pixels = random.integers(0, 256, (40, 8, 8, 1), np.uint8)
    np.savez(folder / "samples.npz", arr_0=pixels, arr_1=np.arange(40) % 2)
    np.save(folder / "samples.npy", pixels)
    np.savez(folder / "VIRTUAL_imagenet256_labeled.npz", arr_0=pixels, arr_1=np.arange(40) % 10)
    (folder / "weights").mkdir()
    (folder / "weights" / "pt_inception.pth").write_bytes(b"a plan reads what decides, and no weights")
    for name in CHECKPOINTS:
        shutil.copy(ROOT / "tests" / "golden" / "emigm_ckpt_tiny.pth", folder / name)
    # Narrow, but as deep as theirs, with as many numbers in a token.
    torch.save({"model": layout((32,) * 5, latent=16)}, folder / "kl16.ckpt")
    for name in ("studies", "docs/clusters"):
        shutil.copytree(ROOT / name, folder / name)
    for page, names in (("first_plugin", ("my_method.py", "mine.py")), ("laptop_to_cluster", ("study.toml",))):
        block = next(block for block in blocks(ROOT / "docs" / "tutorials" / f"{page}.md") if block.title)
        for name in names:
            (folder / name).write_text(block.text, encoding="utf-8")
    return folder


# Studies that pages suppose to be stored.
STORED = (
    "--plugins emigm,maskgit --vary sampling_steps=4,16 --seeds 0,1",
    "--plugins emigm,maskgit --vary sampling_steps=4,16 --seeds 0,1 --name my-study",
    "--plugins halton --vary sampling_steps=4,16 --seeds 0,1 --name before",
    "--plugins halton --vary sampling_steps=4,16 --seeds 0,1 --name after --set train_steps=9",
    "--plugins psi --vary sampling_steps=4",
    "--plugins muse --vary sampling_steps=4 --set train_steps=9 --results theirs",
)


def pretend(patch: pytest.MonkeyPatch) -> None:
    """Let `run` plan and store its study, and make up the rows; let `sample` draw noise, and `prepare` download nothing.

    Everything before the computing is real: options, study files, plugins, components, engines, the division of batches.
    """

    class Engine:
        def __init__(self, *given: Any) -> None:
            build(*given)

        def open(self, leases: Any) -> None:
            return None

    build = run.engine_of
    patch.setattr(prepare, "_fetch", lambda asked: None)
    # `plan` counts costs in tests of its own; a row takes about a second.
    patch.setattr("mgbench.cli.commands.plan.COUNTED_ROWS", 0)
    patch.setattr(run, "engine_of", Engine)
    patch.setattr(run, "compute", lambda work, display: computed(work.chosen))
    patch.setattr(run, "_detach", lambda chosen: (run.save_view(chosen), computed(chosen)))
    patch.setattr(run, "_finish", lambda *args, **options: None)


def computed(chosen: Chosen) -> int:
    """Store a made-up record for every row that is to be computed; 0."""
    for row in chosen.rows:
        if not row.assembly.unfit and not row.reused:
            chosen.store.save_record(done(row))
    return 0


def fail(root: Path, method: str) -> None:
    """Let the stored rows of a method have failed."""
    store = Store(root)
    for folder in sorted((root / "runs").iterdir()):
        record = store.record(folder.name)
        if record is not None and record.method == method:
            reason = "RuntimeError: a tensor of another shape"
            store.save_record(replace(record, status="failed", reason=reason, scores={}, costs={}))


def done(row: Row) -> Any:
    """A finished record of a row."""
    spelled = row.spelled
    like = synthetic.record(row.method, spelled.get("sampling_steps") or 8, row.assembly.recipe.seed)
    judge = str(Spec.parse(str(spelled["extractor"])).name)
    scores = {name.replace(synthetic.EXTRACTOR, judge): value for name, value in like.scores.items()}
    rest = {"scores": scores, "declared": known_scores(scores), "costs": like.costs, "protocol": like.protocol}
    return row.record("done", **rest, origin=like.origin)
