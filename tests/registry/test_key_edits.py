"""Keys that cannot lie: an edit of our code changes exactly the keys of the results that it changes."""

import re
from functools import cache
from pathlib import Path

import pytest

from mgbench.recipes.keys import KEY_VERSION
from mgbench.recipes.stage_code import RECONSTRUCTION, SILENT, STAGE_CODE, UNMEASURED
from mgbench.registry.resolve import assemble
from tests.registry.key_edits import EDITS, all_changes, registry, table

PAGE = Path(__file__).parents[2] / "docs" / "keys.md"
EVERYTHING, NOTHING = "", "no method"
# For each edit, the letters of the keys that must change, and of which methods: those whose recipe, spelled out, reads so.
EXPECTED = {
    "training loop": ("MIS", EVERYTHING),
    "optimizer": ("MIS", EVERYTHING),
    "EMA": ("MIS", EVERYTHING),
    "masking helper": ("MIS", r"masking=(exact|truncnorm|beta)\b"),
    "solver": ("IS", r"\b(solver|of)=(ddpm|ddim|dpmpp_\w+|unipc)\b"),
    "metric arithmetic": ("SR", r"metrics=.*\bfid\b"),
    "image rounding": ("ISR", r"tokenizer=(patch|kmeans|multiscale)\b"),
    "a comment": ("", NOTHING),
    "an unused function": ("", NOTHING),
    "a file in another room": ("", NOTHING),
    "sampling loop": ("IS", r"process=(masked|mixture)\b"),
}


@cache
def spelled() -> dict[str, str]:
    recipes = {name: recipe for plugin in registry().recipes.values() for name, recipe in plugin.items()}
    lines = {name: assemble(registry(), recipe).spelled for name, recipe in recipes.items()}
    return {name: " ".join(f"{field}={value}" for field, value in line.items()) for name, line in lines.items()}


@pytest.mark.parametrize("what", [edit.what for edit in EDITS])
def test_an_edit_changes_exactly_the_keys_that_it_must(what: str) -> None:
    letters, where = EXPECTED[what]
    expected = {method: letters if re.search(where, spelled()[method]) else "" for method in all_changes()[what]}
    assert all_changes()[what] == expected
    assert bool(letters) == any(expected.values())


def test_the_table_of_the_documentation_is_what_is_measured() -> None:
    """`python -m tests.registry.key_edits` prints it."""
    assert table() in PAGE.read_text(encoding="utf-8")


def test_the_documentation_names_the_version_and_all_stage_code() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert f"version {KEY_VERSION}" in text
    named = [*(name for names in STAGE_CODE.values() for name in names), *RECONSTRUCTION, *SILENT, *UNMEASURED["model"]]
    assert not [name for name in named if f"`{name}`" not in text]
