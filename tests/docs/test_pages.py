"""What the pages teach keeps the laws, and what they name is there."""

import importlib.util
import re
from pathlib import Path

import pytest

from mgbench.recipes.recipe import FIELDS
from mgbench.registry.loading import find, load
from mgbench.testing.laws import sampling, scoring, training
from tests.docs.blocks import ROOT, blocks

DOCS = ROOT / "docs"
PAGES = [*DOCS.rglob("*.md"), *(ROOT / name for name in ("README.md", "CONTRIBUTING.md"))]
PLUGINS = [
    (page, block)
    for page in sorted(DOCS.rglob("*.md"))
    for block in blocks(page)
    if block.language == "python" and block.title
]


def taught(folder: Path, page: str, title: str):
    """The registry with a plugin that a page teaches."""
    text = next(block.text for block in blocks(DOCS / page) if block.title == title)
    (folder / title).write_text(text, encoding="utf-8")
    return load([find(str(folder / title))])


@pytest.mark.parametrize(("page", "block"), PLUGINS, ids=lambda item: getattr(item, "name", None) or item.title)
def test_every_plugin_that_is_taught_loads(tmp_path: Path, page: Path, block) -> None:
    registry = taught(tmp_path, page.relative_to(DOCS).as_posix(), block.title)
    assert block.title.removesuffix(".py") in registry.sources
    assert not registry.problems


@pytest.mark.parametrize(
    ("page", "schedule"), [("tutorials/first_plugin.md", "power_of_time"), ("guides/plugins.md", "power")]
)
def test_the_method_that_is_taught_differs_from_emigm_in_one_field(tmp_path: Path, page: str, schedule: str) -> None:
    registry = taught(tmp_path, page, "mine.py")
    mine, emigm = registry.recipes["mine"]["mine"], registry.recipes["emigm"]["emigm"]
    assert [name for name in FIELDS if getattr(mine, name) != getattr(emigm, name)] == ["mask_schedule"]
    training.mask_schedule(registry.names("mask_schedule")[schedule].maker())


def test_the_parts_that_are_taught_keep_the_laws(tmp_path: Path) -> None:
    registry = taught(tmp_path, "guides/plugins.md", "parts.py")
    sampling.sampler(registry.names("sampler")["raster"].maker())
    training.dataset(registry.names("dataset")["stripes"].maker())
    scoring.metric(registry.names("metric")["brightness"].maker())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"`((?:mgbench|plugins|tests|scripts|docs|studies|benchmarks)/[\w./]*\w(?:/|\.\w+))`", text)
    linked = re.findall(r"\]\(([\w./-]+\.\w+)(?:#[\w-]+)?\)", text)
    named += [str((page.parent / link).resolve().relative_to(ROOT)) for link in linked]
    written = ("docs/kinds/", "docs/methods/", "docs/api/")  # by scripts/site; a strict build looks at links to them
    assert not [path for path in named if not path.startswith(written) and not (ROOT / path).exists()]
    modules = re.findall(r"`(mgbench(?:\.[a-z_]+)+)(?:\.[A-Z]\w+)?`", text)
    assert not [name for name in modules if importlib.util.find_spec(name) is None]
