"""Every schedule that needs no options has a picture in the terminal, which begins and ends where the schedule does."""

import pytest

from mgbench.cli.output.curves import curve
from mgbench.recipes.spec import Spec, defaults, hints
from mgbench.report.text import text_curve
from tests.cli.conftest import Command
from tests.laws.registered import registry

KINDS = ("mask_schedule", "guidance_schedule", "time_grid")
WHOLE = [
    (kind, name)
    for kind in KINDS
    for name, offer in registry().names(kind).items()
    if not set(hints(offer.maker)) - set(defaults(offer.maker))
]


@pytest.mark.parametrize(("kind", "name"), WHOLE)
def test_a_schedule_has_a_picture(kind: str, name: str) -> None:
    lines = curve(kind, registry().build(kind, Spec(name))).splitlines()
    assert len(lines) == 14
    assert sum("•" in line for line in lines) >= 1


def test_other_kinds_have_none() -> None:
    assert curve("sampler", registry().build("sampler", Spec("halton"))) == ""


def test_a_rising_line_rises() -> None:
    head, *rows, _, _, foot = text_curve([0.0, 1.0, 2.0], [0.0, 1.0, 2.0], ("x", "y"), (3, 3)).splitlines()
    assert (head, foot) == ("y", "x")
    assert [row[-3:] for row in rows] == ["  •", " • ", "•  "]


def test_show_draws_it(mgbench: Command) -> None:
    answer = mgbench("show", "exp")
    assert answer.code == 0
    assert "γ(t), the share of masked tokens" in answer.out
    assert "0.993 ┤" in answer.out
