import pytest

from mgbench.interfaces.bibtex import by_key, field, key, papers

TEXT = r"""
% a comment
@misc{doe2026power,
  title = {Powers of {Time}},
  author = {Doe, Jane and
    D{\"o}, John},
  year = {2026},
  eprint = {2601.00001}
}

@article{roe1999,
  title = {Old},
}
"""


def test_entries_by_key() -> None:
    entries = by_key(TEXT)
    assert list(entries) == ["doe2026power", "roe1999"]
    assert entries["roe1999"] == "@article{roe1999,\n  title = {Old},\n}"
    assert key(entries["doe2026power"]) == "doe2026power"
    assert key("no entry") == ""


def test_a_key_that_comes_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="two entries 'roe1999'"):
        by_key(TEXT + "@misc{roe1999,\n}")


def test_the_fields_of_an_entry() -> None:
    entry = by_key(TEXT)["doe2026power"]
    assert field(entry, "title") == "Powers of {Time}"
    assert field(entry, "author") == r"Doe, Jane and D{\"o}, John"
    assert field(entry, "eprint") == "2601.00001"
    assert field(entry, "journal") == ""


def test_the_papers_in_a_text() -> None:
    assert list(papers("(arXiv:2406.11838, 2202.04200); 2406.11838 again, 0.25, 1706.0850")) == [
        "2406.11838",
        "2202.04200",
        "1706.0850",
    ]
