"""The claims of a study in its page: verdicts, sentences that cannot become markup, and the figure; nothing without claims."""

from dataclasses import replace

import pytest

from mgbench.report import read_stored, write_report
from mgbench.report.stored import Choices
from tests.report.synthetic import EVIL, report_of
from tests.report.test_verdicts import CLAIM, LARGE, SMALL, frame_of, rows


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("claims")
    claims = (
        replace(CLAIM, says=EVIL, source=EVIL, margin=0.05),
        replace(CLAIM, name="none", at=("sampling_steps=9",)),
    )
    frame_of(root, *rows("emigm", SMALL), *rows("maskgit", LARGE), claims=claims)
    return root


def test_the_page_has_every_verdict_and_what_is_claimed(root):
    page = report_of(root, root / "report", "s").read_text(encoding="utf-8")
    section = page.partition('<section id="claims"')[2].partition("</section>")[0]
    assert "1 reproduced, 1 undecided." in section
    assert '<a href="#claim-weighting">weighting</a>' in section
    assert 'id="claim-weighting"' in section
    assert "−32 % (−36 to −29)" in section
    assert "method=emigm at most 5 % worse than method=maskgit" in section
    assert "no row has &#39;method=emigm&#39; at &#39;sampling_steps=9&#39;" in section
    assert EVIL not in page
    assert "&lt;img src=x" in section
    assert (root / "report" / "figures" / "claims.svg").is_file()
    assert page.count('<figure class="card" id="figures-claims"') == 1


@pytest.mark.parametrize(("study", "where"), [("s", "sampling_steps=8"), (None, "")])
def test_a_page_of_other_rows_has_no_claims(root, study, where):
    stored = read_stored(root, study, Choices(where=where, only=("fid-versus-nfe",)))
    assert 'id="claims"' not in write_report(stored, root / "other").read_text(encoding="utf-8")
