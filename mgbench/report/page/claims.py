"""The claims of a study in the page: a table of verdicts, what is claimed and by whom, and the figure."""

from dataclasses import dataclass

from mgbench.report.claims import NOTE, at_said, by_chance, counts, margin_said, verdict_table
from mgbench.report.judging import Verdict
from mgbench.report.page.pictures import Embedded
from mgbench.report.stored import Stored


@dataclass(frozen=True)
class Said:
    """A claim with its sentence, source, sides and margin, and what its verdicts leave out, with the condition of each."""

    name: str
    says: str
    source: str
    sides: str
    notes: list[tuple[str, str]]


@dataclass(frozen=True)
class Section:
    """The claims of a page: the heads and rows of the table, sentences on all of them, each claim, and pictures."""

    heads: list[str]
    rows: list[list[str]]
    headline: str
    remarks: list[str]
    claims: list[Said]
    pictures: list[Embedded]


def claims_of(stored: Stored, pictures: list[Embedded]) -> Section | None:
    """The section of the claims; None for a study without any."""
    verdicts = stored.verdicts
    if not verdicts:
        return None
    table = verdict_table(verdicts, stored.frame)
    by_claim: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        by_claim.setdefault(verdict.claim.name, []).append(verdict)
    headline = ", ".join(f"{count} {finding}" for finding, count in counts(verdicts).items())
    remarks, said = [NOTE, by_chance(verdicts)], list(map(_said, by_claim.values()))
    return Section(list(map(str, table)), table.to_numpy().tolist(), f"{headline}.", remarks, said, pictures)


def _said(verdicts: list[Verdict]) -> Said:
    claim, margin = verdicts[0].claim, margin_said(verdicts[0])
    sides = f"{claim.better} {margin or 'better'} than {claim.than}"
    notes = [(at_said(verdict) if verdict.at else "", note) for verdict in verdicts for note in verdict.notes]
    return Said(claim.name, claim.says, claim.source, sides, notes)
