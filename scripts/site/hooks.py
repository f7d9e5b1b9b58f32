"""Hooks of mkdocs: generated pages and the navigation to them, links that leave `docs/`, and what pages include."""

import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))

from mkdocs.config.defaults import MkDocsConfig  # noqa: E402
from mkdocs.structure.files import File, Files  # noqa: E402
from mkdocs.structure.pages import Page  # noqa: E402

from scripts.site import api, commands, kinds, links, methods, notebooks  # noqa: E402
from scripts.site.text import section  # noqa: E402

# Files of the repository that are pages of the site, besides those in docs/.
ROOT_PAGES = {
    "README.md": "",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "findings/README.md": "library_findings.md",
}
# Studies whose reports the repository keeps; other folders in reports/ are somebody's own.
REPORTS = ("annealed", "digits", "few_steps", "mnist", "reuse", "samplers")
# Files that are copied as they are, because pages link to them.
COPIED = (
    "studies/*.toml",
    "studies/findings/*.toml",
    *(f"reports/{study}/{files}" for study in REPORTS for files in ("index.html", "**/*.png")),
    "findings/*.sh",
    "scripts/by_hand.py",
    "LICENSE",
)
INCLUDE = re.compile(r"<!-- from (?P<file>[\w./]+): (?P<heading>.+?) -->")


def generated() -> dict[str, str]:
    """Text of every page written from the code, by its path in the site."""
    return {**kinds.pages(), **methods.pages(), **api.pages()}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the generated pages where the navigation names their folder."""
    listed = list(generated())
    config.nav = [_listed(item, listed) for item in config.nav or []]
    return config


def _listed(item: Any, pages: list[str]) -> Any:
    if not isinstance(item, dict):
        return item
    return {
        title: [page for page in pages if page.startswith(inner)] if isinstance(inner, str) else inner
        for title, inner in item.items()
    }


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages, pages of the repository's root, notebooks, and files that pages link to."""
    made: dict[str, str | bytes] = {**generated()}
    made |= {uri: (ROOT / path).read_text(encoding="utf-8") for path, uri in ROOT_PAGES.items() if uri}
    for file in [file for file in files if file.src_uri.endswith(".ipynb")]:
        files.remove(file)
        made |= notebooks.pages(ROOT / "docs" / file.src_uri, file.src_uri)
    for pattern in COPIED:
        for path in sorted(path for path in ROOT.glob(pattern) if path.is_file()):
            made[path.relative_to(ROOT).as_posix()] = path.read_bytes()
    for uri, content in made.items():
        files.append(File.generated(config, uri, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill in what a page includes, and lead its links to where the site has their targets."""
    uri = page.file.src_uri
    origin = next((path for path, at in ROOT_PAGES.items() if at == uri), f"docs/{uri}")
    text = commands.filled(links.moved(markdown, origin, uri, files))
    return INCLUDE.sub(lambda found: _included(found["file"], found["heading"], uri, files), text)


def _included(file: str, heading: str, uri: str, files: Files) -> str:
    text = section((ROOT / file).read_text(encoding="utf-8"), heading)
    return links.moved(text, file, uri, files)
