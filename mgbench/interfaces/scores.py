"""Declarations of the numbers that metrics return: label, unit, better direction, and what a number depends on."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

Better = Literal["lower", "higher"]
Source = Literal["features", "images", "tokens"]


@dataclass(frozen=True)
class ScoreInfo:
    """One number of a metric, as tables and figures need to know it.

    `label` is its name in prose ("FID"), `better` the better direction, `unit` is empty for a pure number. `of` says what
    the number depends on besides the images: "features" of the extractor, which a score then names in brackets
    (`fid[digits_cnn]`); "images" alone, as a distance of pixels; or the "tokens" of one tokenizer, which the score names.
    """

    label: str
    better: Better
    unit: str = ""
    of: Source = "features"

    def plain(self) -> dict[str, str]:
        """The declaration in plain values, as a record keeps it; what has its default is left out."""
        optional = {"unit": self.unit, "of": self.of}
        defaults = {"unit": "", "of": "features"}
        return {
            "label": self.label,
            "better": self.better,
            **{name: value for name, value in optional.items() if value != defaults[name]},
        }


def declaration(scores: Mapping[str, ScoreInfo], name: str) -> ScoreInfo | None:
    """What is declared of a number: under its name, or under the start of it with a star.

    "class_fid_*" declares `class_fid_0`, `class_fid_1` and so on, and what the star stands for ends their labels.
    """
    for known, info in scores.items():
        start = known.removesuffix("*")
        if known == name:
            return info
        if known != start and name.startswith(start):
            return replace(info, label=f"{info.label} {name.removeprefix(start)}")
    return None
