"""Results folders that look like real ones: what the runner would have stored, made up without training anything."""

import hashlib
import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from mgbench.recipes.keys import digest
from mgbench.recipes.recipe import Recipe
from mgbench.report import Choices, read_stored, style, write_report
from mgbench.results.former import LAST_FORMER_SCHEMA
from mgbench.results.known_scores import known_scores
from mgbench.results.layout import Layout
from mgbench.results.record import Record, StudyView, as_content
from mgbench.results.schema import seal

EXTRACTOR = "digits_cnn"
FID = f"fid[{EXTRACTOR}]"
# A name that would like to be more than a name.
EVIL = "<img src=x onerror=\"document.title='taken'\">"
PROTOCOL = "digits@ab12cd34/train1437/n500/balanced/uint8/8x8/digits_cnn@3f2a"
ORIGIN = {
    "device": "cpu (2 cores)", "mgbench": "0.1.0", "torch": "2.11.0", "python": "3.11.7", "threads": 1,
    "started": "2026-01-05T10:00:00", "finished": "2026-01-05T10:02:00", "command": "mgbench run --plugins emigm",
}  # fmt: skip
STEPS = (1, 2, 4, 8, 16, 32)
SPELLED = Recipe().spelled()
# Where a method's FID ends, how steeply it gets there, network forwards per step, whether it knows labels, its head.
METHODS = {
    "emigm": (24.0, 0.9, 1.6, True, "diffusion(width=256)"),
    "emigm-unguided": (33.0, 1.0, 1.0, True, "diffusion(width=256)"),
    "maskgit": (29.0, 0.6, 1.0, True, "categorical"),
    "emigm-unlabelled": (190.0, 1.3, 1.0, False, "diffusion(width=256)"),
    "maskgit-unlabelled": (215.0, 1.0, 1.0, False, "categorical"),
}
# As many methods as one study may compare: most of the field, and `var` that knows one number of steps only.
MANY = {
    **METHODS,
    "mar": (26.0, 0.8, 1.8, True, "diffusion(width=256)"),
    "mdm": (36.0, 1.2, 1.0, True, "categorical"),
    "mdm-unlabelled": (240.0, 1.3, 1.0, False, "categorical"),
    "mage": (44.0, 0.7, 1.0, True, "categorical"),
    "muse": (27.5, 0.65, 2.0, True, "categorical"),
    "halton": (25.0, 0.5, 1.0, True, "categorical"),
    "remdm": (31.0, 1.5, 1.0, True, "categorical"),
    "dfm": (40.0, 1.1, 1.0, True, "categorical"),
    "dit": (21.0, 4.0, 2.0, True, "none"),
    "dit-unguided": (52.0, 2.0, 1.0, True, "none"),
    "var": (28.0, 0.2, 2.5, True, "none"),
}


def record(method: str = "emigm", steps: int = 8, seed: int = 0, **changes: Any) -> Record:
    """One finished row; `recipe` among the changes adds to the recipe, every other one replaces a field."""
    end, slope, forwards, labels, head = MANY.get(method, METHODS["emigm"])
    fields = {"mask_schedule": "exp(rate=5.0)", "head": head, "labels": labels, "sampling_steps": steps, "seed": seed}
    recipe = {**SPELLED, **fields, **changes.pop("recipe", {})}
    random = np.random.default_rng([seed, steps, len(method)])
    fid = end * (1 + slope / steps) * (1 + 0.03 * random.standard_normal())
    made = Record(
        key=digest([method, recipe]),
        training_key=digest([method, seed]),
        method=method,
        status="done",
        recipe=recipe,
        scores={
            f"accuracy[{EXTRACTOR}]": (0.97 - 0.3 / steps if labels else 0.1) + 0.004 * random.standard_normal(),
            f"fid[{EXTRACTOR}]": fid,
            f"kid[{EXTRACTOR}]": fid / 2500,
        },
        floors={f"accuracy[{EXTRACTOR}]": 0.985, f"fid[{EXTRACTOR}]": 6.3, f"kid[{EXTRACTOR}]": 0.0002},
        costs={
            "nfe": max(1.0, forwards * steps),
            "head_evaluations": 10.2,
            "seconds_per_image": 0.0004 * forwards * steps * (1 + 0.05 * random.random()) + 0.0003,
            "train_seconds": 50.0,
            "parameters": 300000.0,
        },
        protocol=PROTOCOL,
        data="ab12cd34",
        keys={"model": digest([method, seed])},
        origin=dict(ORIGIN),
    )
    made = replace(made, **changes)
    return made if "declared" in changes else replace(made, declared=known_scores(made.scores))


def unfinished(method: str, steps: int, seed: int, status: Any, reason: str) -> Record:
    """A row that came to nothing."""
    return record(method, steps, seed, status=status, reason=reason, scores={}, floors={}, costs={}, protocol="")


def store(root: Path, *records: Record) -> Path:
    """Write records as the runner does."""
    for item in records:
        path = Layout(root).run(item.key) / "record.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(seal(as_content(item)))
    return root


def report_of(results: Path, output: Path, study: str | None = None, **choices: Any) -> Path:
    """Write the page of stored records; its path.

    Letters in its PDF files are drawn one by one: to look for what is needed of a whole font takes a fifth of the time of a
    report. Those of `write_all` and `mgbench report` are as they are for users.
    """
    house = style._house
    with patch.object(style, "_house", lambda *given: house(*given) | {"pdf.fonttype": 3}):
        return write_report(read_stored(results, study, Choices(**choices)), output)


def store_former(root: Path, *records: Record) -> Path:
    """Write records as an earlier version did, under whose keys they lie."""
    for item in records:
        content = {name: value for name, value in as_content(item).items() if name not in ("keys", "declared")}
        body = json.dumps(content, indent=1, sort_keys=True)
        sealed = {"schema": LAST_FORMER_SCHEMA, "sha256": hashlib.sha256(body.encode()).hexdigest(), "content": content}
        path = Layout(root).run(item.key) / "record.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(sealed, indent=1))
    return root


def store_study(root: Path, name: str, rows: list[tuple[str, str]], command: str = "mgbench run study.toml") -> None:
    """Write which rows make up a study."""
    path = Layout(root).study(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(seal(as_content(StudyView(name, tuple(rows), command))))


def store_images(root: Path, item: Record, count: int = 20, size: int = 8) -> None:
    """Random images for a row and for its dataset, with the labels 0 … 9 in turn."""
    labels = np.arange(count) % 10 if item.recipe["labels"] else np.full(count, -1)
    noise = np.random.default_rng(0).integers(0, 256, (count, 1, size, size), np.uint8)
    np.savez(Layout(root).run(item.key) / "images.npz", images=noise, labels=labels)
    real = Layout(root).real(item.data)
    real.parent.mkdir(parents=True, exist_ok=True)
    np.savez(real, images=255 - noise, labels=np.arange(count) % 10)


def store_curve(root: Path, item: Record, steps: int = 1000) -> None:
    """The training curve of a row's model."""
    folder = Layout(root).model(item.training_key)
    folder.mkdir(parents=True, exist_ok=True)
    noise = 0.1 * np.random.default_rng(item.recipe["seed"]).standard_normal(steps)
    noise += 0.2 * (len(item.method) % 5)
    rows = [f"{step},{0.4 + 2 * np.exp(-step / 150) + noise[step]:.5f},0.001,{step / 20}" for step in range(steps)]
    (folder / "training.csv").write_text("\n".join(["step,loss,learning_rate,seconds", *rows]))


def many(seeds: Any = range(3)) -> list[Record]:
    """Sixteen methods in one study."""
    rest = {method: values for method, values in MANY.items() if method != "var"}
    return [*grid(rest, seeds=seeds), *(record("var", 4, seed) for seed in seeds)]


def tokenizer(spec: str = "patch(size=2)", seed: int = 0, **scores: float) -> Record:
    """How well a tokenizer gives real images back: a row that has no method."""
    kept = {"dataset": "digits", "tokenizer": spec, "extractor": EXTRACTOR, "metrics": ["fid"], "samples": 0}
    recipe = {**dict.fromkeys(Recipe().spelled()), **kept}
    found = scores or {f"fid[{EXTRACTOR}]": 9.5, "rmse": 12.5}
    made = record("tokenizer", scores=found, costs={"tokens": 16.0}, protocol="of tokenizers", about="tokenizer")
    return replace(made, key=digest(["tokenizer", recipe, seed]), recipe=recipe)


def large(rows: int) -> Iterator[Record]:
    """As many rows as asked for: methods, samplers, guidance scales, numbers of steps and seeds, the seeds slowest."""
    points = list(itertools.product(MANY, range(7), (1.0, 1.5, 2.0), STEPS))
    for place in range(rows):
        seed, (method, sampler, scale, steps) = place // len(points), points[place % len(points)]
        fields = {"sampler": f"maskgit(temperature={sampler}.5)", "guidance_schedule": f"constant(scale={scale})"}
        made = record(method, steps, seed, recipe=fields)
        yield replace(made, scores={**made.scores, FID: made.scores[FID] * (1 + 0.01 * sampler + (scale - 1.5) ** 2)})


def grid(methods: Any = METHODS, steps: Any = STEPS, seeds: Any = range(3)) -> list[Record]:
    """Every method at every step count and seed; seeds vary slowest, as a study expands."""
    return [record(method, count, seed) for seed in seeds for method in methods for count in steps]


def sweep(seeds: Any = range(3)) -> list[Record]:
    """One method over samplers, guidance scales and steps: a grid of three axes whose effects are known.

    Halton is 4 better and exp(rate=3.0) 1.5 worse everywhere; FID is lowest at scale 2.
    """
    shifts = {"random_order": 0.0, "halton(a=1)": -4.0, "maskgit(temperature=4.5)": 2.0}
    rates = {"exp(rate=5.0)": 0.0, "exp(rate=3.0)": 1.5}
    made = []
    for seed, sampler, schedule, scale, steps in itertools.product(
        seeds, shifts, rates, (1.0, 1.5, 2.0, 3.0), (4, 8, 16)
    ):
        guidance = "none" if scale == 1 else f"interval(low=0.1, high=0.7, inner=constant(scale={scale}))"
        fields = {"sampler": sampler, "mask_schedule": schedule, "guidance_schedule": guidance}
        noise = np.random.default_rng([seed, steps]).standard_normal() + 0.1 * (scale - 2)
        fid = 20 + 60 / steps + 6 * (scale - 2) ** 2 + shifts[sampler] + rates[schedule] + noise
        item = record("emigm", steps, seed, recipe=fields)
        scores = {**item.scores, f"fid[{EXTRACTOR}]": fid, f"accuracy[{EXTRACTOR}]": 0.99 - 0.25 * np.exp(1 - scale)}
        made.append(replace(item, scores=scores))
    return made


def store_film(root: Path, item: Record, steps: int = 4, grid: tuple[int, int] | None = (2, 2)) -> None:
    """The states of two images of 8 × 8, a token revealed at each step."""
    mask = np.ones((steps, 2, 4), bool)
    for step in range(steps):
        mask[step, :, : step + 1] = False
    images = np.full((steps, 2, 1, 8, 8), 200, np.uint8)
    arrays = {"images": images, "mask": mask, "step": np.arange(1, steps + 1), "labels": np.array([0, 1])}
    np.savez(Layout(root).run(item.key) / "film.npz", **arrays, **({"grid": np.array(grid)} if grid else {}))


def store_schedules(root: Path, item: Record, revealed: Any = (1.0, 1.0, 2.0)) -> None:
    """What a row's schedules look like."""
    times = np.linspace(0, 1, 5)
    gamma = {"mask_schedule": list(times**2), "sampling_schedule": list(times)}
    content = {"t": list(times), "gamma": gamma, "tokens": 16, "revealed": list(revealed)}
    (Layout(root).run(item.key) / "curves.json").write_text(json.dumps(content))


def store_nearest(root: Path, item: Record, value: int = 7) -> None:
    """The nearest training images of the first samples, all of one grey."""
    images = np.full((20, 1, 8, 8), value, np.uint8)
    np.savez(Layout(root).run(item.key) / "nearest.npz", images=images, distance=np.zeros(20))
