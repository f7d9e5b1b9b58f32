"""What is kept beside a row for the report to draw: films, schedules and counts, and the nearest training images."""

import io
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mgbench.recipes.recipe import Recipe
from mgbench.registry.loading import Registry, find, load
from mgbench.registry.resolve import Assembly, assemble
from mgbench.stages.cost import Meter
from mgbench.stages.film import FILMED, Film
from mgbench.stages.sample import Model, sample_images
from mgbench.trials.diagnostics import CURVES, FILM, FRAMES, MATCHED, NEAREST, film_files, nearest, nearest_file
from tests import doubles
from tests.doubles import TINY

CPU = torch.device("cpu")
CODES = TINY.change(tokenizer="kmeans(codes=16, size=4)", head="categorical", solver=None, sampling_steps=3)


@cache
def registry() -> Registry:
    return load([find(doubles.FILE)])


def model(recipe: Recipe) -> tuple[Assembly, Model]:
    assembly = assemble(registry(), recipe)
    parts, data = assembly.parts, assembly.data
    tokenizer = parts.tokenizer.build(data.shape)
    list(tokenizer.fit(data.train[:300], 0))
    torch.manual_seed(0)
    module = parts.process.build(parts, tokenizer.space, assembly.classes).eval()
    return assembly, Model(parts, module, tokenizer, tokenizer.space, assembly.classes, CPU)


def written(recipe: Recipe, tmp_path: Path) -> dict[str, Any]:
    assembly, made = model(recipe)
    features = torch.randn(40, 5, generator=torch.Generator().manual_seed(0))
    film = Film.join([batch.film for batch in sample_images(made, recipe, 40, 20, Meter()) if batch.film])
    files = film_files(made, recipe, film) | nearest_file(features[:MATCHED], features, assembly.data.train[:40])
    found: dict[str, Any] = {}
    for name, writer in files.items():
        writer(tmp_path / name)
        content = (tmp_path / name).read_bytes()
        found[name] = json.loads(content) if name.endswith(".json") else dict(np.load(io.BytesIO(content)))
    return found


def test_a_film_shows_every_step_until_nothing_is_masked(tmp_path: Path) -> None:
    film = written(CODES, tmp_path)[FILM]
    steps = len(film["step"])
    assert film["images"].shape == (steps, FILMED, 1, 8, 8)
    assert film["images"].dtype == np.uint8
    assert film["mask"].shape == (steps, FILMED, 4)
    assert film["grid"].tolist() == [2, 2]
    assert film["labels"].tolist() == [index % 10 for index in range(FILMED)]
    masked = film["mask"].sum((1, 2))
    assert (np.diff(masked) < 0).all()
    assert masked[-1] == 0


def test_a_film_keeps_at_most_so_many_frames_with_the_last_among_them(tmp_path: Path) -> None:
    recipe = TINY.change(tokenizer="patch(size=1)", sampling_steps=2 * FRAMES)
    film = written(recipe, tmp_path)[FILM]
    assert len(film["step"]) == FRAMES
    assert film["step"][-1] > FRAMES
    assert not film["mask"][-1].any()


def test_counts_sum_to_the_tokens_and_schedules_are_what_they_are(tmp_path: Path) -> None:
    curves = written(CODES.change(sampling_schedule="linear"), tmp_path)[CURVES]
    assert sum(curves["revealed"]) == pytest.approx(curves["tokens"])
    t = np.array(curves["t"])
    np.testing.assert_allclose(curves["gamma"]["mask_schedule"], np.sin(np.pi / 2 * t), atol=1e-12)
    np.testing.assert_allclose(curves["gamma"]["sampling_schedule"], t, atol=1e-12)


def test_a_process_without_masks_leaves_no_schedule(tmp_path: Path) -> None:
    curves = written(registry().recipes["doubles"]["gaussian"], tmp_path)[CURVES]
    assert curves["gamma"] == {}


def test_what_never_masks_reveals_nothing_and_has_a_film(tmp_path: Path) -> None:
    diffusion = Recipe.of(process="diffusion(width=16, depth=1, heads=2)", tokenizer="patch(size=4)", sampling_steps=3)
    files = written(diffusion, tmp_path)
    assert CURVES not in files
    assert not files[FILM]["mask"].any()
    assert files[FILM]["step"].tolist() == [1, 2, 3]
    assert (files[FILM]["images"][0] != files[FILM]["images"][2]).any()


def test_the_nearest_image_is_the_one_with_the_nearest_features(tmp_path: Path) -> None:
    images = torch.randint(256, (6, 1, 2, 2), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    train = torch.tensor([[0.0], [1.0], [2.0], [3.0], [4.0], [5.0]])
    found = nearest(torch.tensor([[2.1], [4.9], [0.0]]), train, images)
    np.testing.assert_array_equal(found["images"], images[[2, 5, 0]].numpy())
    np.testing.assert_allclose(found["distance"], [0.1, 0.1, 0.0], atol=1e-6)
    assert len(written(CODES, tmp_path)[NEAREST]["distance"]) == MATCHED
