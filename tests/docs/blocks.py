"""The fenced blocks of pages, and the folders that their commands suppose."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>[\w-]*)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A fenced block: language, file name in its title, text, line, and whether a shell block is right above it."""

    language: str
    title: str
    text: str
    line: int
    follows: bool


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order, without their indentation."""
    text, end = page.read_text(encoding="utf-8"), 0
    made = []
    for found in _FENCE.finditer(text):
        inner = re.sub(rf"^{found['indent']}", "", found["text"], flags=re.MULTILINE)
        line, before = text[: found.start()].count("\n") + 1, made[-1].language if made else ""
        follows = before == "sh" and not text[end : found.start()].strip()
        made.append(Block(found["language"], found["title"] or "", inner, line, follows))
        end = found.end()
    return made


def commands(block: Block) -> Iterator[list[str]]:
    """The commands of a shell block as words: continued lines are one, comments are left out, `&&` parts two."""
    for line in block.text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while "&&" in words:
            place = words.index("&&")
            yield words[:place]
            words = words[place + 1 :]
        if words:
            yield words
