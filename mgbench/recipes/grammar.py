"""Parser of values: numbers, words, quoted text, lists, and names with options in parentheses.

    values = [value {"," value} [","]]
    value  = number | word | quoted | "[" values "]" | "(" values ")" | name "(" [option {"," option}] ")"
    option = [name "="] value

A word is any text without `,()[]{}<>` and quotation marks, so that a path needs no quotes; surrounding blanks are
ignored.
"""

import ast
import re
from collections.abc import Callable
from typing import Any

# Makes a value from a name with its positional and named values.
Call = Callable[[str, tuple[Any, ...], tuple[tuple[str, Any], ...]], Any]

# Words with a special value, in the spelling of Python and of TOML and JSON.
WORDS = {"true": True, "false": False, "True": True, "False": False, "None": None}
_BLANKS = re.compile(r"[ \t\r\n]*")
_QUOTED = re.compile(r"'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\"")
_WORD = re.compile(r"[^,()\[\]{}<>'\"\x00-\x1f\x7f]+")
_OPTION = re.compile(r"[ \t\r\n]*([^\W\d]\w*)[ \t\r\n]*=")
_NUMBER = re.compile(
    r"[-+]?(?:0[xX][\da-fA-F_]+|(?:\d[\d_]*)(?:\.[\d_]*)?(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?)", re.A
)
_CLOSES = {"[": "]", "(": ")"}
_DEPTH = 50


def read_values(text: str, call: Call) -> tuple[Any, ...]:
    """Read values separated by commas.

    Raises:
        ValueError: if the text does not follow the grammar.
    """
    reader = _Reader(text, call)
    found, _ = reader.values("")
    return found


def plain_word(word: str) -> Any:
    """The number, True, False or None that a word stands for, or the word itself."""
    if word in WORDS:
        return WORDS[word]
    if _NUMBER.fullmatch(word):
        try:
            return ast.literal_eval(word.removeprefix("+"))
        except (SyntaxError, ValueError):
            return word
    return word


class _Reader:
    """A position in a text; every method reads from there on, and raises ValueError on a syntax error."""

    def __init__(self, text: str, call: Call) -> None:
        self.text, self.call = text, call
        self.at, self.depth = 0, 0

    def values(self, closing: str) -> tuple[tuple[Any, ...], bool]:
        """The values up to a closing bracket (empty: the end), and whether the last is followed by a comma."""
        found: list[Any] = []
        while not self._closed(closing):
            found.append(self.value())
            if self._closed(closing):
                return tuple(found), False
            self._take(",")
        return tuple(found), bool(found)

    def value(self, option: bool = False) -> Any:
        """Read one value; the value of an option may contain equals signs after its first character.

        Raises:
            ValueError: on a syntax error.
        """
        self._skip()
        sign = self.text[self.at : self.at + 1]
        if sign in _CLOSES:
            return self._list(sign)
        if sign in ("'", '"'):
            return ast.literal_eval(self._match(_QUOTED))
        word = self._match(_WORD).strip()
        if not word or word[0] in "=*" or ("=" in word and not option):
            raise ValueError(word)
        if self.text[self.at : self.at + 1] != "(":
            return plain_word(word)
        if not word.isidentifier():
            raise ValueError(word)
        return self._call(word)

    def _list(self, opening: str) -> Any:
        self._enter(opening)
        found, comma = self.values(_CLOSES[opening])
        self._leave(_CLOSES[opening])
        return found[0] if opening == "(" and len(found) == 1 and not comma else found

    def _call(self, name: str) -> Any:
        self._enter("(")
        args: list[Any] = []
        options: list[tuple[str, Any]] = []
        while not self._closed(")"):
            match = _OPTION.match(self.text, self.at)
            if match:
                self.at = match.end()
                options.append((match[1], self.value(option=True)))
            elif options:
                raise ValueError(name)
            else:
                args.append(self.value())
            if self._closed(")"):
                break
            self._take(",")
        self._leave(")")
        return self.call(name, tuple(args), tuple(options))

    def _enter(self, opening: str) -> None:
        self._take(opening)
        self.depth += 1
        if self.depth > _DEPTH:
            raise ValueError(self.text)

    def _leave(self, closing: str) -> None:
        self._take(closing)
        self.depth -= 1

    def _closed(self, closing: str) -> bool:
        """Whether the closing bracket, or the end, is next."""
        self._skip()
        if not closing:
            return self.at == len(self.text)
        if self.text.startswith(closing, self.at):
            return True
        if self.at == len(self.text):
            raise ValueError(self.text)
        return False

    def _skip(self) -> None:
        match = _BLANKS.match(self.text, self.at)
        self.at = match.end() if match else self.at

    def _take(self, sign: str) -> None:
        self._skip()
        if not self.text.startswith(sign, self.at):
            raise ValueError(self.text)
        self.at += len(sign)

    def _match(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.at)
        if match is None:
            raise ValueError(self.text)
        self.at = match.end()
        return match[0]
