"""Links between files of the repository, as links between pages of the site."""

import posixpath
import re

from mkdocs.structure.files import Files

_LINK = re.compile(r"(\]\(|src=\"|href=\")(?!https?:|mailto:|#)([^)\"#\s]+)(?=[)\"#])")
_REPORT = re.compile(r"reports/[\w-]+")
_FENCE = re.compile(r"(^ *```.*?^ *```$)", re.MULTILINE | re.DOTALL)


def moved(markdown: str, origin: str, uri: str, files: Files) -> str:
    """Markdown of a file at `origin` of the repository for the page at `uri` of the site.

    A link to a file in `docs/`, or to one that the site has a page or a copy of, is led there. What the site does not have
    keeps its link, which `mkdocs build --strict` refuses.
    """

    def replaced(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(origin), found[2]))
        at = in_site(target)
        if files.get_file_from_path(at) is None:
            return found[0]
        if found[1].startswith("src"):  # the path as HTML has it, of a page that may be a folder
            return found[1] + posixpath.relpath(at, posixpath.dirname(uri) or ".")
        return found[1] + posixpath.relpath(at, posixpath.dirname(uri) or ".")

    parts = _FENCE.split(markdown)
    return "".join(part if place % 2 else _LINK.sub(replaced, part) for place, part in enumerate(parts))


def in_site(target: str) -> str:
    """Where the site has a file of the repository."""
    pages = {
        "README.md": "index.md",
        "CHANGELOG.md": "changelog.md",
        "CONTRIBUTING.md": "contributing.md",
        "findings": "library_findings.md",
        "findings/README.md": "library_findings.md",
    }
    if target in pages:
        return pages[target]
    if target.startswith("plugins/") and target.endswith(".py"):
        return f"methods/{target[8:-3]}.md"
    if _REPORT.fullmatch(target):
        return f"{target}/index.html"
    inner = target.removeprefix("docs/")
    return inner.removesuffix(".ipynb") + ".md" if inner.endswith(".ipynb") else inner
