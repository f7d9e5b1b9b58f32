"""Markdown from docstrings, BibTeX and pages."""

import html
import inspect
import re
import textwrap
from typing import Any

from mgbench.interfaces.bibtex import field, key

_ARXIV = re.compile(r"(?:arXiv:)?\b(\d{4}\.\d{4,5})\b")


def prose(text: str) -> str:
    """A docstring as Markdown: what is not code is escaped, and papers are links."""
    parts = re.split(r"(`[^`]*`)", inspect.cleandoc(text))
    return "".join(part if part.startswith("`") else _linked(_escaped(part)) for part in parts)


def first_sentence(text: str) -> str:
    """The first paragraph of a docstring on one line, as Markdown."""
    return prose(" ".join(inspect.cleandoc(text).split("\n\n")[0].split()))


def rest(text: str) -> str:
    """What follows the first paragraph of a docstring, as Markdown."""
    return prose(inspect.cleandoc(text).partition("\n\n")[2])


def _escaped(text: str) -> str:
    return re.sub(r"([\\*_<>|\[\]])", r"\\\1", text)


def _linked(text: str) -> str:
    return _ARXIV.sub(r"[arXiv:\1](https://arxiv.org/abs/\1)", text)


def source(maker: Any) -> str:
    """The code of a class, folded away."""
    return folded("Source", f"```python\n{textwrap.dedent(inspect.getsource(maker)).rstrip()}\n```")


def folded(title: str, text: str) -> str:
    """Text that opens on a click."""
    return f'??? abstract "{title}"\n\n{textwrap.indent(text, "    ")}\n'


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def code(value: Any) -> str:
    """A value as code that may stand in a table."""
    text = str(value)
    return f"<code>{html.escape(text).replace('|', '&#124;')}</code>" if "|" in text else f"`{text}`"


def paper(entry: str) -> str:
    """A BibTeX entry as a line of a list: authors, title, year and the address."""
    names = field(entry, "author").split(" and ")
    first = names[0].partition(",")[0]
    who = first if len(names) == 1 else f"{first} et al."
    title = re.sub(r"[{}]", "", field(entry, "title"))
    number = field(entry, "eprint")
    where = f", [arXiv:{number}](https://arxiv.org/abs/{number})" if number else ""
    return f"{_escaped(who)} ({field(entry, 'year')}). *{_escaped(title)}*{where}. {code(key(entry))}"


def section(text: str, heading: str) -> str:
    """What stands under a heading of a page; under its title, up to the first heading.

    Raises:
        ValueError: if the page has no such heading.
    """
    parts = re.split(r"^(#{1,6} .*)$", text, flags=re.MULTILINE)
    for title, body in zip(parts[1::2], parts[2::2], strict=True):
        if title.lstrip("#").strip() == heading:
            return body.strip()
    raise ValueError(f"no heading {heading!r}; headings are {', '.join(parts[1::2])}")
