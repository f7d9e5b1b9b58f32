"""Declarations of the numbers that metrics return: label, unit, better direction and source."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

Better = Literal["lower", "higher"]
Source = Literal["features", "images", "tokens"]


@dataclass(frozen=True)
class ScoreInfo:
    """Declaration of one number of a metric, for tables and figures.

    `label` is its name in text ("FID"), `better` the better direction, `unit` is empty for a dimensionless number. `of`
    is its source: "features" of an extractor, whose name the score has in brackets (`fid[digits_cnn]`); "images" alone,
    such as a pixel distance; or the "tokens" of a tokenizer, whose name the score has in brackets. `checks` names the number
    that it is a second implementation of: a report says how far the two differ on the same images.
    """

    label: str
    better: Better
    unit: str = ""
    of: Source = "features"
    checks: str = ""

    def plain(self) -> dict[str, str]:
        """The declaration as plain values for a record; defaults are left out."""
        optional = {"unit": self.unit, "of": self.of, "checks": self.checks}
        defaults = {"unit": "", "of": "features", "checks": ""}
        return {
            "label": self.label,
            "better": self.better,
            **{name: value for name, value in optional.items() if value != defaults[name]},
        }


def declaration(scores: Mapping[str, ScoreInfo], name: str) -> ScoreInfo | None:
    """The declaration of a number, by its exact name or by a pattern that ends with a star; None if there is none.

    "class_fid_*" declares `class_fid_0`, `class_fid_1`, …; the text that the star matches is appended to the label.
    """
    for known, info in scores.items():
        start = known.removesuffix("*")
        if known == name:
            return info
        if known != start and name.startswith(start):
            return replace(info, label=f"{info.label} {name.removeprefix(start)}")
    return None
