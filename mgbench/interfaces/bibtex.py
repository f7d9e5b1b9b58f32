"""A small BibTeX reader: entries by key, and fields of an entry."""

import re
from collections.abc import Iterator

# An arXiv number such as 2202.04200.
_ARXIV = re.compile(r"\b\d{4}\.\d{4,5}\b")


def by_key(text: str) -> dict[str, str]:
    """The entries of a BibTeX text by key, in order.

    Raises:
        ValueError: if two entries have the same key.
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
    """The key of an entry; an empty string if it has none."""
    match = re.match(r"@\w+\{\s*([\w:.-]+)\s*,", entry)
    return match[1] if match else ""


def field(entry: str, name: str) -> str:
    """The value of a field without its outer braces; an empty string if the entry does not have the field."""
    flags = re.MULTILINE | re.IGNORECASE | re.DOTALL
    match = re.search(rf"^\s*{name}\s*=\s*\{{(.*?)\}}\s*,?\s*$", entry, flags=flags)
    return " ".join(match[1].split()) if match else ""


def papers(text: str) -> Iterator[str]:
    """The distinct arXiv numbers in a text, in order."""
    yield from dict.fromkeys(_ARXIV.findall(text))
