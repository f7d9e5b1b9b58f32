"""Output in the encoding of the terminal, pipe or file that receives it."""

import codecs
import io
import os
import re
import sys
import unicodedata
from typing import TextIO

# Characters that would move the cursor, ring the bell or change colours; line breaks and tabs are text.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
# ASCII replacements of the signs in tables, plots and messages.
_SIGNS = r"""
    – -  — -  − -  → ->  ← <-  ↑ ^  ↓ v  … ...  · *  × x  ± +-  ≤ <=  ≥ >=  ≈ ~  ≠ !=  γ gamma  τ tau  σ sigma
    η eta  λ lambda  α alpha  Σ sum  ′ '  “ "  ” "  ‘ '  ’ '  ∞ inf  ─ -  ━ -  ┌ +  ┐ +  └ +  ┘ +  ├ +  ┤ +
    ┬ +  ┴ +  ┼ +  ■ #  ☆ $  ▲ ^  ▼ v  ◆ %  ★ &  □ q  ○ o  △ A  ◇ d  π pi  │ |  ┃ |  █ #  ▁ _  • *  ● *  ✓ ok  ₁ 1
    ₂ 2  ² ^2  ³ ^3  √ sqrt  ✕ x  ✚ +  ∈ in  ℓ l
"""
_ASCII = str.maketrans(dict(zip(_SIGNS.split()[::2], _SIGNS.split()[1::2], strict=True)))
# ASCII with words for signs. A custom codec, because click writes UTF-8 to streams that declare plain ASCII.
ENCODING = "mgbench_ascii"


def prepare() -> None:
    """Make the standard streams accept every character: as it is, in words, or as its number."""
    codecs.register_error(ENCODING, _in_words)
    codecs.register(_codec)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and not _shows(stream, "–γ─"):
            ascii_only = not _shows(stream, "é")
            stream.reconfigure(encoding=ENCODING if ascii_only else None, errors=ENCODING)


def notify(*sentences: str) -> None:
    """Print sentences for the user on standard error, beside the output of a command."""
    import typer

    for sentence in sentences:
        typer.secho(f"mgbench: {sentence}", err=True, fg="yellow")


def _shows(stream: TextIO, text: str) -> bool:
    try:
        text.encode(stream.encoding or "ascii")
    except (LookupError, UnicodeEncodeError):
        return False
    return True


def _in_words(error: UnicodeError) -> tuple[str, int]:
    """Error handler of encodings: writes missing characters in ASCII."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_in_ascii, error.object[error.start : error.end])), error.end


def _in_ascii(character: str) -> str:
    """A sign in words, a Greek letter by its name, a letter without its accent, or a character's number."""
    if ord(character) in _ASCII:
        return _ASCII[ord(character)]
    script, _, letter = unicodedata.name(character, "").partition(" SMALL LETTER ")
    if script == "GREEK" and letter:
        return letter.lower().partition(" ")[0]
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode("ascii")
    return plain or character.encode("ascii", "backslashreplace").decode("ascii")


class _Encoder(codecs.IncrementalEncoder):
    def encode(self, text: str, final: bool = False) -> bytes:
        return text.encode("ascii", ENCODING)


def _codec(name: str) -> codecs.CodecInfo | None:
    if name != ENCODING:
        return None

    def encode(text: str, errors: str = "strict") -> tuple[bytes, int]:
        return text.encode("ascii", ENCODING), len(text)

    plain = codecs.lookup("ascii")
    return codecs.CodecInfo(
        encode, plain.decode, incrementalencoder=_Encoder, incrementaldecoder=plain.incrementaldecoder, name=ENCODING
    )


def readable(text: str) -> str:
    r"""A text with control characters escaped, such as \x1b."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def reader_left() -> None:
    """Exit quietly when the reader of a pipe is gone (`| head`), with the shell's exit code for it."""
    # Python flushes the closed pipe again at exit and would print an error.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(141)
