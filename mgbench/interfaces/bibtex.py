"""BibTeX, as much of it as references need: entries by key, and the fields of one."""

import re
from collections.abc import Iterator

# A paper on arXiv, in a docstring or an entry: 2202.04200.
_ARXIV = re.compile(r"\b\d{4}\.\d{4,5}\b")


def by_key(text: str) -> dict[str, str]:
    """The entries of a text by their keys, in order.

    Raises:
        ValueError: if a key comes twice.
    """
    found: dict[str, str] = {}
    for entry in re.split(r"^(?=@)", text, flags=re.MULTILINE):
        name = key(entry)
        if name in found:
            raise ValueError(f"there are two entries {name!r}")
        if name:
            found[name] = entry.strip()
    return found


def key(entry: str) -> str:
    """The key of an entry, or nothing where there is none."""
    match = re.match(r"@\w+\{\s*([\w:.-]+)\s*,", entry)
    return match[1] if match else ""


def field(entry: str, name: str) -> str:
    """A field of an entry, without its outer braces; nothing where it has none."""
    flags = re.MULTILINE | re.IGNORECASE | re.DOTALL
    match = re.search(rf"^\s*{name}\s*=\s*\{{(.*?)\}}\s*,?\s*$", entry, flags=flags)
    return " ".join(match[1].split()) if match else ""


def papers(text: str) -> Iterator[str]:
    """The arXiv numbers in a text, each once."""
    yield from dict.fromkeys(_ARXIV.findall(text))
