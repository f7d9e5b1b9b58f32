"""Published results: rows with sources, and caveats found while collecting them."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import pandas as pd

from mgbench.errors import UserError, suggestion

# Common protocol of all published numbers; rows of a user with the same protocol are comparable.
METRIC = "fid"
EXTRACTOR = "inception"
SAMPLES = 50_000
# The columns shown in the figure.
FIGURE = ("nfe", "fid")
# Values of the guidance column if the source states it, and otherwise.
KNOWN, UNSTATED = ("yes", "no"), "unstated"
# Families of methods, grouped by colour.
GROUPS = {
    "masked(continuous)": "masked, continuous",
    "masked(discrete)": "masked, discrete",
    "visual autoregressive": "next scale",
    "autoregressive(discrete)": "autoregressive",
    "autoregressive+diffusion(continuous)": "autoregressive",
    "diffusion(latent)": "diffusion, latent",
    "diffusion(latent)+masked": "diffusion, latent",
    "diffusion(latent)+SSL": "diffusion, latent",
    "diffusion(pixel)": "diffusion, pixels",
    "GAN": "GAN, few steps",
    "consistency": "GAN, few steps",
    "flow map(latent)": "GAN, few steps",
    "flow map(pixel)": "GAN, few steps",
    "drifting(latent)": "GAN, few steps",
    "drifting(pixel)": "GAN, few steps",
}


@dataclass(frozen=True)
class Published:
    """The numbers of one dataset at one resolution.

    `rows` has a row per printed number: model, series and size (the model's name in two parts), group (of the family),
    nfe, fid, guided, … and `traps`, the names of its caveats; `traps` has the column that each caveat concerns ("nfe",
    "fid" or "other") and its text.
    """

    name: str
    dataset: str
    side: int
    rows: pd.DataFrame
    traps: pd.DataFrame

    @property
    def title(self) -> str:
        """Data set and resolution for display."""
        return f"{self.dataset} {self.side}×{self.side}"

    @property
    def drawn(self) -> pd.DataFrame:
        """The rows with both numbers of the figure and known guidance."""
        return self.rows[self.rows["guidance"].isin(KNOWN)].dropna(subset=["nfe", "fid"])

    def numbered(self) -> dict[str, int]:
        """The caveats of the figure, numbered by position: guided first, then by forwards."""
        rows = self.drawn.sort_values(["guided", "nfe"], ascending=[False, True], kind="stable")
        names = [name for name in _distinct(rows["traps"]) if self.traps.at[name, "concerns"] in FIGURE]
        return {name: place for place, name in enumerate(names, 1)}

    def text_of(self, trap: str) -> str:
        """The text of a footnote, in a sentence or two."""
        return str(self.traps.at[trap, "text"])


def read_published(name: str) -> Published:
    """The published numbers under a name such as "imagenet-256".

    Raises:
        UserError: if there is no such name.
    """
    rows = _table()
    if name not in set(rows["set"]):
        raise UserError(f"no published numbers are called {name!r}; {suggestion(name, rows['set'].unique())}")
    chosen = rows[rows["set"] == name].reset_index(drop=True)
    traps = _traps().loc[_distinct(chosen["traps"])]
    return Published(name, str(chosen["dataset"].iloc[0]), int(chosen["side"].iloc[0]), chosen, traps)


@cache
def _table() -> pd.DataFrame:
    with files(__package__).joinpath("published.csv").open(encoding="utf-8") as file:
        rows = pd.read_csv(file, keep_default_na=False)
    for number in ("params_millions", "nfe", "fid", "inception_score", "precision", "recall"):
        rows[number] = pd.to_numeric(rows[number].replace("", None))
    side = rows["resolution"].str.partition("x")[0]
    names = rows["dataset"].str.lower() + "-" + side
    return rows.assign(
        side=side.astype(int),
        set=names,
        group=rows["family"].map(GROUPS),
        guided=rows["guidance"] == "yes",
        traps=rows["traps"].str.split(),
    )


@cache
def _traps() -> pd.DataFrame:
    with files(__package__).joinpath("traps.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file).set_index("trap")


def _distinct(lists: Iterable[Iterable[str]]) -> list[str]:
    return list(dict.fromkeys(name for names in lists for name in names))
