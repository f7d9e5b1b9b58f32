"""What docs/guides/plugins.md teaches works as it is written."""

import importlib.util
import re
from pathlib import Path

import pytest

from mgbench.recipes.recipe import FIELDS
from mgbench.registry.loading import find, load
from mgbench.testing.laws import sampling, scoring, training

DOCS = Path(__file__).resolve().parents[2] / "docs"
BLOCKS = re.findall(r"```python\n(.*?)```", (DOCS / "guides" / "plugins.md").read_text(encoding="utf-8"), re.DOTALL)
PLUGINS = [block for block in BLOCKS if block.startswith('"""')]


def loaded(folder: Path, text: str):
    (folder / "taught.py").write_text(text, encoding="utf-8")
    return load([find(str(folder / "taught.py"))])


@pytest.mark.parametrize("block", PLUGINS, ids=lambda block: block.splitlines()[0])
def test_every_plugin_that_is_taught_loads(tmp_path: Path, block: str) -> None:
    registry = loaded(tmp_path, block)
    assert "taught" in registry.sources
    assert not registry.problems


def test_the_method_that_is_taught_differs_from_emigm_in_one_field(tmp_path: Path) -> None:
    registry = loaded(tmp_path, PLUGINS[0])
    mine, emigm = registry.recipes["taught"]["mine"], registry.recipes["emigm"]["emigm"]
    assert [name for name in FIELDS if getattr(mine, name) != getattr(emigm, name)] == ["mask_schedule"]
    training.mask_schedule(registry.names("mask_schedule")["power"].maker())


def test_the_parts_that_are_taught_keep_the_laws(tmp_path: Path) -> None:
    registry = loaded(tmp_path, PLUGINS[1])
    sampling.sampler(registry.names("sampler")["raster"].maker())
    training.dataset(registry.names("dataset")["stripes"].maker())
    scoring.metric(registry.names("metric")["brightness"].maker())


PAGES = [*DOCS.rglob("*.md"), *(DOCS.parent / name for name in ("README.md", "CONTRIBUTING.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"`((?:mgbench|plugins|tests|scripts|docs|studies|benchmarks)/[\w./]*\w(?:/|\.\w+))`", text)
    named += [
        str((page.parent / link).resolve().relative_to(DOCS.parent))
        for link in re.findall(r"\]\(([\w./-]+\.\w+)\)", text)
    ]
    missing = [path for path in named if not (DOCS.parent / path).exists()]
    assert not missing
    modules = re.findall(r"`(mgbench(?:\.[a-z_]+)+)(?:\.[A-Z]\w+)?`", text)
    assert not [name for name in modules if importlib.util.find_spec(name) is None]
