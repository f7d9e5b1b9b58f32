"""Claims in study files: what is read, and what is said about a wrong one."""

import json
from pathlib import Path

import pytest

from mgbench.errors import UserError
from mgbench.recipes.claims import Claim, read_claims
from mgbench.recipes.study import Outline, read_study

FILE = """
plugins = ["one"]

[[claims]]
name = "first"
says = "A beats B."
better = "method=a"
than = "method=b"

[[claims]]
name = "second"
says = "A is no worse than B."
source = "arXiv 2503.07197, section 4"
better = "method=a and sampling_steps<=8"
than = "method=b"
at = ["sampling_steps=4", "sampling_steps=8"]
metric = "fid"
margin = 0.05
costs = ["nfe"]
"""
FIRST = Claim("first", "A beats B.", "method=a", "method=b")
SECOND = Claim(
    "second", "A is no worse than B.", "method=a and sampling_steps<=8", "method=b", "arXiv 2503.07197, section 4",
    ("sampling_steps=4", "sampling_steps=8"), "fid", 0.05, ("nfe",),
)  # fmt: skip


def read(folder: Path, text: str) -> Outline:
    path = folder / "study.toml"
    path.write_text(text, encoding="utf-8")
    return read_study(path)


def test_the_claims_of_a_file_are_read_in_order(tmp_path: Path) -> None:
    assert read(tmp_path, FILE).claims == (FIRST, SECOND)


@pytest.mark.parametrize("claim", [FIRST, SECOND])
def test_a_claim_is_stored_as_plain_values_and_comes_back(claim: Claim) -> None:
    assert Claim.of(json.loads(json.dumps(claim.plain()))) == claim
    assert Claim.of({**claim.plain(), "of_a_newer_version": 1}) == claim


def test_claims_change_no_recipe_and_options_that_select_rows_are_noted(tmp_path: Path) -> None:
    outline = read(tmp_path, FILE)
    assert Outline(seeds=(1,)).over(outline).whole
    for given in (Outline(methods=("a",)), Outline(changes={"samples": 5}), Outline(vary={"samples": (5,)})):
        narrowed = given.over(outline)
        assert (narrowed.whole, narrowed.claims) == (False, outline.claims)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("margin =", "margn =", "line 10: claim 'second' has no key 'margn'; did you mean 'margin'?"),
        ('than = "method=b"\n\n', "\n", "line 4: claim 'first' lacks than; a claim says name, says, better, than"),
        ('name = "first"', "", "line 4: this claim lacks name"),
        ('name = "second"', 'name = "first"', "line 10: a second claim is called 'first'; give each a name of its own"),
        ('name = "first"', 'name = "a b"', "claim 'a b': take letters, digits, dots and dashes for the name"),
        ("margin = 0.05", "margin = 5.0", "claim 'second': margin is 5.0, and should be less than 1"),
        ("margin = 0.05", 'margin = "5 %"', "claim 'second': margin is '5 %', and should be a valid number"),
        ('at = ["sampling_steps=4", "sampling_steps=8"]', 'at = "x=1"', "claim 'second': at is 'x=1', and should be"),
        ('than = "method=b"\n\n', 'than = "method=a"\n\n', "claim 'first' has the same rows on both sides"),
        ('says = "A beats B."', 'says = ""', "claim 'first': says is '', and should be"),
    ],
)  # fmt: skip
def test_a_wrong_claim_is_named_with_file_line_and_what_to_do(
    tmp_path: Path, before: str, after: str, said: str
) -> None:
    assert before in FILE
    with pytest.raises(UserError) as error:
        read(tmp_path, FILE.replace(before, after, 1))
    assert "study.toml" in str(error.value)
    assert said in str(error.value)


def test_claims_written_as_a_list_are_read_too() -> None:
    table = {"name": "x", "says": "x", "better": "method=a", "than": "method=b"}
    assert read_claims([table], Path("s.toml"), "claims = [{}]")[0].name == "x"
