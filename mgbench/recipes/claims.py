"""Claims of a study file: which rows shall score better than which, fixed before any row is computed."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from mgbench.errors import UserError, suggestion
from mgbench.recipes.spec import checked

TABLE = "claims"
Text = Annotated[str, Field(min_length=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
# What a claim may hold, by type, and what it is, for the schema that editors read.
CLAIM_KEYS: dict[str, tuple[Any, str]] = {
    "name": (Text, "a word that no other claim of the file has; studies of other data may have the same claim"),
    "says": (Text, "the claim in a sentence"),
    "better": (Text, "the rows that shall score better, as for --where: method=exp and sampler=halton"),
    "than": (Text, "the rows that they are compared with"),
    "source": (str, "where the claim is made"),
    "at": (list[Text], "conditions on both sides, with a verdict for each; by default all rows give one"),
    "metric": (str, "the score that is compared; by default the first that the rows have"),
    "margin": (Share, "the share by which the first rows may be worse, such as 0.05; by default they shall be better"),
    "costs": (list[Text], "costs whose ratio is shown beside, such as nfe, seconds_per_image and flops_per_image"),
}
NEEDED = ("name", "says", "better", "than")


@dataclass(frozen=True)
class Claim:
    """A claim that some rows of a study score better than others (with a margin: at most this share worse).

    `better`, `than` and each of `at` are conditions in the language of `--where`; `at` restricts both sides, and each
    gives a verdict of its own. Claims decide no key and no row.
    """

    name: str
    says: str
    better: str
    than: str
    source: str = ""
    at: tuple[str, ...] = ()
    metric: str = ""
    margin: float = 0.0
    costs: tuple[str, ...] = ()

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> "Claim":
        """The claim with these values, as they stand in a file; keys of a newer version are left out."""
        known = {item.name for item in dataclasses.fields(cls)} & plain.keys()
        values: dict[str, Any] = {name: plain[name] for name in known}
        values.update({name: tuple(value) for name, value in values.items() if isinstance(value, list)})
        return cls(**values)

    def plain(self) -> dict[str, Any]:
        """The values of the claim, ready to store."""
        values = dataclasses.asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def read_claims(tables: Sequence[Mapping[str, Any]], path: Path, text: str) -> tuple[Claim, ...]:
    """The claims of a study file from its tables `[[claims]]`.

    Raises:
        UserError: with file, line and claim, if a key is unknown or missing, a value does not fit, or a name is given twice.
    """
    found: dict[str, Claim] = {}
    for place, table in enumerate(tables):
        where = f"{path}, line {_line_of(place, text)}"
        named = f"{where}: claim {table['name']!r}" if "name" in table else f"{where}: this claim"
        claim = _claim(table, named)
        if claim.name in found:
            raise UserError(f"{where}: a second claim is called {claim.name!r}; give each a name of its own")
        found[claim.name] = claim
    return tuple(found.values())


def _claim(table: Mapping[str, Any], named: str) -> Claim:
    for key in table:
        if key not in CLAIM_KEYS:
            raise UserError(f"{named} has no key {key!r}; {suggestion(key, CLAIM_KEYS)}")
    missing = [key for key in NEEDED if key not in table]
    if missing:
        raise UserError(f"{named} lacks {' and '.join(missing)}; a claim says {', '.join(NEEDED)}")
    claim = Claim.of({key: checked(CLAIM_KEYS[key][0], value, f"{named}: {key}") for key, value in table.items()})
    if not re.fullmatch(r"\w[\w.-]*", claim.name):
        raise UserError(f"{named}: take letters, digits, dots and dashes for the name, which becomes part of a link")
    if claim.better == claim.than:
        raise UserError(f"{named} has the same rows on both sides; let 'better' and 'than' name different ones")
    return claim


def _line_of(place: int, text: str) -> int:
    """The line number at which the table of the claim at this place begins."""
    lines = [number for number, line in enumerate(text.splitlines(), 1) if re.match(rf"\s*\[\[\s*{TABLE}\s*\]\]", line)]
    return lines[place] if place < len(lines) else 1
