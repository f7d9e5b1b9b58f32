"""Import checkpoints of other code into a results folder, and export models in the format of that code."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save
from torch import Tensor

from mgbench.components.checkpoints.autoencoders import (
    AUTOENCODER,
    CONFIG,
    LDM,
    exported_autoencoder,
    is_stored_autoencoder,
)
from mgbench.components.checkpoints.container import BARE, Container, read_container, write_container
from mgbench.components.checkpoints.layouts import LOADED, layout_named, layout_of
from mgbench.components.checkpoints.ldm import StoredAutoencoder, is_autoencoder, read_autoencoder
from mgbench.components.checkpoints.llamagen import is_llamagen, read_llamagen
from mgbench.components.checkpoints.reading import Reading
from mgbench.errors import UserError
from mgbench.recipes.recipe import FIELDS, OF_TRAINING, Recipe
from mgbench.results.files import sha256, write
from mgbench.results.imported import BESIDE, ORIGIN, RECIPE, WEIGHTS, Imported, Origin, as_toml, imported, imported_as
from mgbench.results.maintenance.inventory import stored_records
from mgbench.results.store import Store
from mgbench.results.wording import counted


@dataclass(frozen=True)
class Request:
    """An import: a file, its new name, the state dict to read (empty: the one with which official images are drawn),
    and changes to the recipe of the method `like` (not for autoencoders).
    """

    path: Path
    name: str
    tree: str
    like: Recipe
    changes: Mapping[str, Any]


def import_checkpoint(store: Store, asked: Request) -> tuple[str, ...]:
    """Import a checkpoint: check it against the network that its shapes describe, store weights and recipe; lines to
    print.

    An autoencoder is stored as a `diffusers` folder.

    Raises:
        UserError: if it cannot be read, its layout is unknown or does not fit, or a field does not exist.
    """
    name = _folder_name(asked.name)
    container = read_container(asked.path)
    tree = _tree(container, asked)
    state = container.trees[tree]
    if is_llamagen(state.keys()):
        return _keep_autoencoder(store, name, read_llamagen(state, str(asked.path)), "pretrained_vq")
    if is_autoencoder(state.keys()):
        return _keep_autoencoder(store, name, read_autoencoder(state, str(asked.path)), "pretrained_kl")
    layout = layout_of(state.keys(), str(asked.path))
    recipe = asked.like.change(**asked.changes)
    reading = layout.read(state, str(asked.path), dict(recipe.network.options) if recipe.network else {})
    found = _said(asked.like.change(**{**_unsaid(asked.like, reading), **asked.changes}))
    origin = Origin(
        asked.path.name,
        sha256(asked.path),
        layout.name,
        tree,
        reading.classes,
        reading.space.length,
        reading.space.dim,
        container.about,
        reading.space.codes or 0,
    )
    _save(store, name, container, reading, origin, found)
    return _told(imported_as(store.layout, name), origin)


def _told(found: Imported, origin: Origin) -> tuple[str, ...]:
    known, _, dims = _said_sizes(origin).partition("; ")
    fields = found.fields
    steps = f", {counted(fields['sampling_steps'], 'step')}" if "sampling_steps" in fields else ""
    return (
        f"{found.name}: {origin.tree} of {origin.file}, {fields['network']}, {fields['head']}",
        f"it takes {known} and {dims}; it samples by {fields.get('sampler')}, {fields.get('guidance_schedule')}{steps}",
        f"weights {found.weights[:12]}… and recipe: {found.folder}",
        f"'mgbench run --methods {found.name} --set dataset=… --set tokenizer=…' samples and scores it",
    )


def _said_sizes(origin: Origin) -> str:
    return f"{origin.classes} classes; {_tokens(origin)} an image"


def _tokens(origin: Origin) -> str:
    each = f"{origin.codes:,} codes" if origin.codes else f"{origin.dim} numbers"
    return f"{origin.tokens} tokens of {each}"


def _keep_autoencoder(store: Store, name: str, found: StoredAutoencoder, tokenizer: str) -> tuple[str, ...]:
    folder = store.layout.imported(name)
    files = {
        CONFIG: lambda file: _write(file, json.dumps(found.config, indent=1)),
        AUTOENCODER: lambda file: _put(file, found.tensors),
    }
    store.save_folder(folder, files)
    codes, scale = found.config.get("num_vq_embeddings"), found.config.get("scaling_factor")
    lines = [f"{name}: a KL autoencoder {found.form}, whose scale is {scale or 'not known: give scale=… with it'}"]
    if codes:
        lines = [f"{name}: an autoencoder {found.form} with {codes:,} codes"]
    if found.left_out:
        lines += [f"{len(found.left_out)} tensors that only train it are left out, such as {found.left_out[0]}"]
    return (*lines, f"'--set tokenizer={tokenizer}(path={folder})' encodes and decodes with it")


def export_model(store: Store, name: str, path: Path) -> str:
    """Export an import, an autoencoder (imported, or a folder of `diffusers`), or the only model of a method, in the
    format of its original code; the name of the layout.

    Raises:
        UserError: if there is no such model, or no layout can store it.
    """
    container, layout = _exported(store, name)
    write(path, lambda temporary: write_container(temporary, container), "choose another file with -o")
    return layout


def _exported(store: Store, name: str) -> tuple[Container, str]:
    known = {found.name: found for found in imported(store.layout)}
    if name in known:
        return _as_read(store, known[name])
    folders = (store.layout.root / "imported" / name, Path(name).expanduser())
    folder = next((folder for folder in folders if is_stored_autoencoder(folder)), None)
    return _as_trained(store, name) if folder is None else (exported_autoencoder(folder), LDM)


def _as_read(store: Store, found: Imported) -> tuple[Container, str]:
    if not store.complete(found.folder):
        raise UserError(f"{found.folder} is damaged; import {found.name} again")
    origin = found.origin
    beside = load_file(found.folder / BESIDE) if (found.folder / BESIDE).is_file() else {}
    trees: dict[str, dict[str, Tensor]] = {origin.tree: {}}
    for title, value in beside.items():
        tree, _, tensor = title.partition("/")
        trees.setdefault(tree, {})[tensor] = value
    layout = layout_named(origin.layout)
    trees[origin.tree] = layout.write(load_file(found.folder / WEIGHTS), trees[origin.tree])
    return Container(trees, origin.about), layout.name


def _as_trained(store: Store, name: str) -> tuple[Container, str]:
    """The only model of a method, with a single state dict and no other values."""
    rows = [record for record in stored_records(store.layout).values() if record.about == "images"]
    models = {record.training_key for record in rows if record.status == "done" and name in (record.method, record.key)}
    if len(models) != 1:
        count = f"{len(models)} models" if models else "no finished row and nothing imported"
        raise UserError(
            f"{store.root} has {count} of {name!r}; give the name of what was imported, or the key of one row"
        )
    folder = store.layout.model(models.pop())
    if not store.complete(folder):
        raise UserError(f"the model of {name} is not in {store.root} any more; run its study again, which trains it")
    tensors, reasons = load_file(folder / WEIGHTS), list[str]()
    for layout in LOADED:
        try:
            return Container({"model_ema": layout.write(tensors, {})}), layout.name
        except UserError as reason:
            reasons.append(str(reason))
    raise UserError(
        f"no layout can store the model of {name}: {'; '.join(reasons)}; its weights are {folder / WEIGHTS}"
    )


def _tree(container: Container, asked: Request) -> str:
    tree = asked.tree or next(iter(container.trees))
    if tree not in container.trees and BARE not in container.trees:
        raise UserError(f"{asked.path} holds no {tree!r}; it holds {', '.join(container.trees)}")
    return tree if tree in container.trees else BARE


def _unsaid(like: Recipe, reading: Reading) -> dict[str, Any]:
    """The fields that a checkpoint sets: always its sizes, and others that its base recipe does not set.

    Sampling steps are set together with the sampler.
    """
    decided = ("network", "head", *(("sampling_steps",) if like.sampler is None and not like.says_steps else ()))
    return {name: value for name, value in reading.fields.items() if name in decided or getattr(like, name) is None}


def _said(recipe: Recipe) -> dict[str, Any]:
    """The fields of a recipe that differ from the defaults, and the sampling steps if it sets them."""
    said = {"sampling_steps"} if recipe.says_steps else set()
    changed = {
        name: value
        for name, value in recipe.spelled().items()
        if name in said or getattr(recipe, name) != FIELDS[name].default
    }
    return {name: value for name, value in changed.items() if name not in OF_TRAINING and name != "weights"}


def _save(
    store: Store, name: str, container: Container, reading: Reading, origin: Origin, fields: Mapping[str, Any]
) -> None:
    beside = {f"{origin.tree}/{title}": value for title, value in reading.beside.items()}
    for tree, state in container.trees.items():
        if tree != origin.tree:
            beside |= {f"{tree}/{title}": value for title, value in state.items()}
    comment = f"{origin.file}, {origin.tree}: {origin.classes} classes, {_tokens(origin)}"
    files = {
        WEIGHTS: lambda path: _put(path, reading.tensors),
        BESIDE: lambda path: _put(path, beside),
        RECIPE: lambda path: _write(path, as_toml(name, fields, comment)),
        ORIGIN: lambda path: _write(path, json.dumps(asdict(origin), indent=1)),
    }
    store.save_folder(store.layout.imported(name), files)


def _put(path: Path, tensors: Mapping[str, Tensor]) -> None:
    # safetensors refuses tensors that share memory.
    path.write_bytes(save({name: value.clone().contiguous() for name, value in tensors.items()}))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _folder_name(name: str) -> str:
    if not re.fullmatch(r"\w[\w.+-]*", name):
        raise UserError(f"weights cannot be called {name!r}; take letters, digits, dots and dashes with --as NAME")
    return name
