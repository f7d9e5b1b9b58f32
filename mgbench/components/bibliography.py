"""BibTeX entries of the papers that the docstrings of built-in components name."""

from pathlib import Path

from mgbench.hookspecs import hookimpl
from mgbench.interfaces.bibtex import by_key


@hookimpl
def mgbench_references() -> dict[str, str]:
    return by_key(Path(__file__).with_suffix(".bib").read_text(encoding="utf-8"))
