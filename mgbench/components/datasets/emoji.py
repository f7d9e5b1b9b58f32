"""Emoji: small colour images in eight classes, without a download."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from mgbench.components.datasets.packed import by_turns, packed
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.components import Dataset
from mgbench.interfaces.data import ImageData

SIDE = 32
# Unicode's groups in its order, without Activities, which has only 85 pictures.
GROUPS = (
    "Smileys & Emotion",
    "People & Body",
    "Animals & Nature",
    "Food & Drink",
    "Travel & Places",
    "Objects",
    "Symbols",
    "Flags",
)
TRAINED_PER_CLASS, HELD_OUT_PER_CLASS = 96, 32


@dataclass(frozen=True)
class Emoji:
    """Noto Color Emoji in eight of Unicode's groups: 32x32 RGB on white, 96 training and 32 held-out images per class.

    64 tokens at patch 4. Near duplicates are removed: skin tones, variants in sex or hair, and pictures that differ by
    less than 12 grey levels (root mean square); those that differ by less than 20, such as clock faces, are on the same
    side of the split. So few images can be memorised: read `copied` next to FID.
    """

    extractor: ClassVar[str] = "emoji_cnn"

    def load(self) -> ImageData:
        """Images uint8 [768,3,32,32] and [256,3,32,32], labels int64 0..7, class by class in turn."""
        images = packed("emoji_32").permute(0, 1, 4, 2, 3)
        train, train_labels = by_turns(images[:, :TRAINED_PER_CLASS])
        test, test_labels = by_turns(images[:, TRAINED_PER_CLASS:])
        return ImageData(
            train=train,
            train_labels=train_labels,
            test=test,
            test_labels=test_labels,
            class_names=GROUPS,
            licence="Noto Color Emoji 2.042 (Google), SIL Open Font License 1.1; groups of Unicode 15.0 (Unicode License)",
        )


@hookimpl
def mgbench_datasets() -> Mapping[str, type[Dataset]]:
    return {"emoji": Emoji}
