"""Declarations of the numbers that metrics return: label, unit, better direction, and what a number depends on."""

from dataclasses import dataclass
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
