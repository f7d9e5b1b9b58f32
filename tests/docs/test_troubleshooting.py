"""Every message that the page of troubleshooting quotes is one of the source."""

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest

from tests.docs.blocks import ROOT, blocks

PAGE = ROOT / "docs" / "troubleshooting.md"
# What follows a command is compared with its answer where blocks are run.
QUOTED = [" ".join(block.text.split()) for block in blocks(PAGE) if block.language == "text" and not block.follows]
# What stands for a value, in a message of the source and in one of the page.
HOLE = "…"


def pieces(node: ast.AST) -> str:
    """A string literal or an f-string with a hole for each value."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    assert isinstance(node, ast.JoinedStr)
    return "".join(part.value if isinstance(part, ast.Constant) else HOLE for part in node.values)


@cache
def messages() -> frozenset[str]:
    """All texts of the source."""
    return frozenset(_found())


def _found() -> Iterator[str]:
    for folder in ("mgbench", "plugins"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str)):
                    yield " ".join(pieces(node).split())


def says(message: str, quoted: str) -> bool:
    """Whether a message of the source has the words of a quotation in their order, whatever stands at its holes."""
    words = quoted.split(HOLE)
    return sum(map(len, words)) >= 12 and bool(re.search(".*".join(map(re.escape, words)), message))


@pytest.mark.parametrize("quoted", QUOTED)
def test_what_is_quoted_is_said(quoted: str) -> None:
    assert any(says(message, quoted) for message in messages())


def test_a_message_that_nobody_gives_is_found_out() -> None:
    for wrong in (
        "no plugin is named …",
        "the loss turned into … by step …",
        "there are no results in …; make some",
        "…: …",
    ):
        assert not any(says(message, wrong) for message in messages())
