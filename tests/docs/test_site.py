"""The documentation site is built strictly, needs nothing from elsewhere, and can be searched without a server."""

import json
import logging
import re
from pathlib import Path

import pytest

from mgbench.cli.output.describe import registry_kinds
from tests.docs.blocks import ROOT

pytest.importorskip("mkdocs", reason="pip install '.[docs]'")
# What a page loads when it is opened; links to follow are another thing.
LOADED = re.compile(r"<(?:script|img|iframe|link)\b[^>]*?\b(?:src|href)=\"?((?:https?:)?//[^\"\s>]+)")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    warned: list[str] = []

    class Heard(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            warned.append(record.getMessage())

    heard = Heard(logging.WARNING)
    logging.getLogger("mkdocs").addHandler(heard)
    folder = tmp_path_factory.mktemp("site")
    config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder), strict=True)
    config.plugins.on_startup(command="build", dirty=False)
    build(config)
    logging.getLogger("mkdocs").removeHandler(heard)
    assert not warned
    return folder


@pytest.mark.slow
def test_every_kind_and_page_is_there(site: Path) -> None:
    names = {path.relative_to(site).with_suffix("").as_posix() for path in site.rglob("*.html")}
    assert {f"kinds/{kind}" for kind in registry_kinds()} <= names
    assert {"index", "quick_start", "api/index", "methods/emigm", "tutorials/library", "reports/digits/index"} <= names
    assert (site / "studies" / "digits.toml").is_file()


@pytest.mark.slow
def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        assert not LOADED.findall(page.read_text(encoding="utf-8")), page.name


@pytest.mark.slow
def test_the_api_shows_what_plugins_import(site: Path) -> None:
    text = (site / "api" / "protocols.html").read_text(encoding="utf-8")
    assert 'id="mgbench.interfaces.components.Sampler.choose"' in text
    door = (site / "api" / "index.html").read_text(encoding="utf-8")
    assert 'id="mgbench.recipes.recipe.Recipe.change"' in door
    assert 'id="mgbench.cli.library.load_model"' in door


@pytest.mark.slow
def test_search_finds_components_options_and_messages(site: Path) -> None:
    found = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))["docs"]
    text = " ".join(page["title"] + " " + page["text"] for page in found)
    for wanted in ("entropy_bounded", "--devices-per-trial", "the Fréchet distance is biased upward", "load_model"):
        assert wanted in text
