"""Verdicts on claims, from made-up records whose effects are known; intervals are computed again with scipy."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from mgbench.recipes.claims import Claim
from mgbench.report import read_results
from mgbench.report.claims import by_chance, effect_said, verdict_table
from mgbench.report.judging import verdicts
from mgbench.results.layout import Layout
from mgbench.results.record import StudyView, as_content
from mgbench.results.schema import seal
from tests.report.synthetic import FID, record, store, unfinished

ACCURACY = "accuracy[digits_cnn]"
CLAIM = Claim("weighting", "One beats the other.", "method=emigm", "method=maskgit")
SMALL = np.array([20.0, 21.0, 22.0, 20.5, 21.5])
LARGE = SMALL * [1.5, 1.4, 1.45, 1.55, 1.5]


def rows(method, fids, steps=8, metric=FID, **changes):
    return [record(method, steps, seed, scores={metric: fid}, **changes) for seed, fid in enumerate(fids)]


def frame_of(root, *records, claims=(CLAIM,)):
    """The rows as those of a study with claims."""
    store(root, *records)
    view = StudyView("s", tuple((item.key, item.method) for item in records), claims=tuple(c.plain() for c in claims))
    path = Layout(root).study("s")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(seal(as_content(view)))
    return read_results(root, "s", every=True)


def judged(root, *records, claim=CLAIM):
    (verdict,) = verdicts(frame_of(root, *records, claims=(claim,)))
    return verdict


def test_the_interval_is_that_of_scipy_on_logarithms_of_ratios(tmp_path):
    verdict = judged(tmp_path, *rows("emigm", SMALL), *rows("maskgit", LARGE))
    theirs = stats.ttest_rel(np.log(SMALL), np.log(LARGE))
    assert (verdict.low, verdict.high) == pytest.approx(tuple(theirs.confidence_interval(0.95)))
    assert verdict.effect == pytest.approx(np.log(stats.gmean(SMALL) / stats.gmean(LARGE)))
    assert (verdict.finding, verdict.seeds, verdict.planned, verdict.notes) == ("reproduced", 5, 5, ())
    assert effect_said(verdict).startswith("−32 % (")


def test_the_claim_the_other_way_round_is_reversed(tmp_path):
    swapped = replace(CLAIM, better=CLAIM.than, than=CLAIM.better)
    assert judged(tmp_path, *rows("emigm", SMALL), *rows("maskgit", LARGE), claim=swapped).finding == "reversed"


def test_of_a_score_of_which_more_is_better_the_ratio_is_inverted(tmp_path):
    parts = rows("emigm", LARGE / 40, metric=ACCURACY), rows("maskgit", SMALL / 40, metric=ACCURACY)
    verdict = judged(tmp_path, *parts[0], *parts[1])
    assert verdict.finding == "reproduced"
    assert verdict.effect == pytest.approx(np.log(SMALL / LARGE).mean())


def test_an_interval_on_both_sides_of_zero_decides_nothing(tmp_path):
    verdict = judged(tmp_path, *rows("emigm", SMALL), *rows("maskgit", SMALL * [1.1, 0.9, 1.05, 0.96, 1.01]))
    assert verdict.finding == "undecided"
    assert verdict.low < 0 < verdict.high


@pytest.mark.parametrize(
    ("margin", "share", "finding"),
    [(0.1, 1.05, "reproduced"), (0.1, 1.2, "reversed"), (0.05, 1.05, "undecided"), (0.0, 1.05, "reversed")],
)
def test_a_margin_moves_the_bound(tmp_path, margin, share, finding):
    worse = SMALL * share * [1.01, 0.99, 1.005, 0.996, 1.0]
    claim = replace(CLAIM, margin=margin)
    assert judged(tmp_path, *rows("emigm", worse), *rows("maskgit", SMALL), claim=claim).finding == finding


def test_under_five_complete_seeds_decide_nothing_and_the_missing_ones_are_counted(tmp_path):
    failed = unfinished("maskgit", 8, 4, "failed", "no memory")
    verdict = judged(tmp_path, *rows("emigm", SMALL), *rows("maskgit", LARGE[:4]), failed)
    assert (verdict.finding, verdict.seeds, verdict.planned) == ("undecided", 4, 5)
    assert verdict.notes == (
        "4 of 5 seeds are complete; a verdict needs 1 more", "'than': 1 of 5 rows failed (seeds 4)",
    )  # fmt: skip


def test_a_seed_of_one_side_only_is_missing_on_the_other(tmp_path):
    verdict = judged(tmp_path, *rows("emigm", SMALL), *rows("maskgit", LARGE[:3]))
    assert (verdict.seeds, verdict.planned, verdict.notes[1]) == (3, 5, "'than' has no rows of seeds 3, 4")


def diverged(method, seeds):
    return [unfinished(method, 8, seed, "diverged", "the loss is not finite") for seed in seeds]


def test_a_side_that_diverged_with_every_seed_loses(tmp_path):
    verdict = judged(tmp_path / "a", *rows("emigm", SMALL), *diverged("maskgit", range(5)))
    assert verdict.finding == "reproduced"
    assert verdict.notes[0] == "'than' diverged with every seed, and the other side with none"
    verdict = judged(tmp_path / "b", *diverged("emigm", range(5)), *rows("maskgit", SMALL))
    assert verdict.finding == "reversed"
    assert judged(tmp_path / "c", *diverged("emigm", range(5)), *diverged("maskgit", range(5))).finding == "undecided"


def test_a_side_that_diverged_with_some_seeds_cannot_win(tmp_path):
    eight = [20.0, 21.0, 22.0, 20.5, 21.5, 22.5, 21.0]
    records = [*rows("emigm", eight[:5]), *diverged("emigm", (5, 6)), *rows("maskgit", np.multiply(eight, 1.4))]
    verdict = judged(tmp_path / "a", *records)
    assert (verdict.finding, verdict.seeds) == ("undecided", 5)
    assert verdict.notes[0].startswith("'better' is ahead, but diverged with 2 of 7 seeds")
    swapped = replace(CLAIM, better=CLAIM.than, than=CLAIM.better)
    assert judged(tmp_path / "b", *records, claim=swapped).finding == "undecided"
    worse = [*rows("emigm", np.multiply(eight[:5], 2)), *diverged("emigm", (5, 6)), *rows("maskgit", eight)]
    assert judged(tmp_path / "c", *worse).finding == "reversed"


def test_sampling_seeds_and_steps_are_averaged_within_a_seed_and_are_no_replicates(tmp_path):
    factors = {(4, 0): 1.0, (4, 1): 1.1, (16, 0): 0.7, (16, 1): 0.8}
    records = [
        record(method, steps, seed, scores={FID: value * factor * (1.02**again if method == "emigm" else 1)},
               recipe={"sample_seed": again})
        for (steps, again), factor in factors.items()
        for method, fids in (("emigm", SMALL), ("maskgit", LARGE))
        for seed, value in enumerate(fids)
    ]  # fmt: skip
    verdict = judged(tmp_path, *records)
    by_seed = [
        np.mean([
            np.log(np.mean([factors[steps, 0], factors[steps, 1] * 1.02]) * small)
            - np.log(np.mean([factors[steps, 0], factors[steps, 1]]) * large)
            for steps in (4, 16)
        ])
        for small, large in zip(SMALL, LARGE, strict=True)
    ]  # fmt: skip
    assert (verdict.low, verdict.high) == pytest.approx(stats.ttest_1samp(by_seed, 0).confidence_interval(0.95))
    assert verdict.seeds == 5


def test_every_condition_gives_a_verdict(tmp_path):
    records = [
        row for steps in (4, 8) for row in (*rows("emigm", SMALL, steps), *rows("maskgit", SMALL * 12 / steps, steps))
    ]
    claim = replace(CLAIM, at=("sampling_steps=4", "sampling_steps=8", "sampling_steps=5"))
    found = verdicts(frame_of(tmp_path, *records, claims=(claim,)))
    assert [np.exp(verdict.effect) for verdict in found[:2]] == pytest.approx([4 / 12, 8 / 12])
    assert (found[2].finding, found[2].seeds) == ("undecided", 0)
    assert "no row has 'method=emigm' at 'sampling_steps=5'" in found[2].notes[0]


def test_sides_of_other_steps_are_compared_where_each_has_one_number(tmp_path):
    claim = replace(CLAIM, better="method=emigm and sampling_steps=4", than="method=maskgit and sampling_steps=32")
    verdict = judged(
        tmp_path, *rows("emigm", SMALL, 4), *rows("emigm", SMALL / 9, 8), *rows("maskgit", LARGE, 32), claim=claim
    )
    assert verdict.effect == pytest.approx(np.log(SMALL / LARGE).mean())
    assert verdict.costs["nfe"] == pytest.approx((6.4, 32))


def test_rows_without_a_partner_are_named(tmp_path):
    one = [row for steps in (4, 8, 16) for row in rows("emigm", SMALL, steps)]
    other = [row for steps in (8, 16) for row in rows("maskgit", LARGE, steps)]
    verdict = judged(tmp_path, *one, *other)
    assert verdict.finding == "reproduced"
    assert verdict.notes == ("5 rows have a value of sampling_steps that the other side has not, and are left out",)
    verdict = judged(tmp_path / "b", *one, *rows("maskgit", LARGE, 8))
    assert "have 3 values of sampling_steps (16, 4, 8, …) that the other side does not have" in verdict.notes[0]


def test_scores_of_zero_or_less_are_compared_by_their_difference(tmp_path):
    one, other = np.array([-0.1, 0.0, 0.1, 0.05, -0.05]), np.array([0.9, 1.1, 1.0, 1.05, 0.95])
    parts = rows("emigm", one, metric="kid[digits_cnn]"), rows("maskgit", other, metric="kid[digits_cnn]")
    verdict = judged(tmp_path, *parts[0], *parts[1], claim=replace(CLAIM, margin=0.1))
    theirs = stats.ttest_rel(one, other).confidence_interval(0.95)
    assert (verdict.low, verdict.high) == pytest.approx(tuple(theirs))
    assert (verdict.relative, verdict.bound, verdict.finding) == (
        False,
        pytest.approx(0.1 * other.mean()),
        "reproduced",
    )


def test_rows_of_other_protocols_and_scores_without_a_direction_are_not_judged(tmp_path):
    records = [*rows("emigm", SMALL), *rows("maskgit", LARGE, protocol="another/n100")]
    assert "2 protocols" in judged(tmp_path / "a", *records).notes[0]
    records = [*rows("emigm", SMALL, metric="mine", declared={}), *rows("maskgit", LARGE, metric="mine", declared={})]
    assert judged(tmp_path / "b", *records).notes == ("no better direction of mine is declared",)


def test_rows_that_repeat_a_sampling_stay_for_the_claims(tmp_path):
    """32 steps of 16 tokens may be the sampling of 16 steps, of which tables show one row."""
    records = [
        replace(record(method, steps, seed, scores={FID: fid}), costs={"steps_taken": 16.0, "nfe": 16.0})
        for steps in (16, 32)
        for method, fids in (("emigm", SMALL), ("maskgit", LARGE))
        for seed, fid in enumerate(fids)
    ]
    claim = replace(CLAIM, at=("sampling_steps=32",))
    assert judged(tmp_path, *records, claim=claim).finding == "reproduced"
    assert set(read_results(tmp_path, "s")["sampling_steps"]) == {16}


def test_the_table_says_what_the_verdicts_say(tmp_path):
    claim = replace(CLAIM, costs=("nfe",))
    frame = frame_of(tmp_path, *rows("emigm", SMALL), *rows("maskgit", LARGE), claims=(claim,))
    (row,) = verdict_table(verdicts(frame), frame).to_dict("records")
    assert (row["claim"], row["at"], row["verdict"], row["score"]) == (
        "weighting",
        "all rows",
        "reproduced",
        "FID[digits_cnn]",
    )
    assert (row["better"], row["than"], row["seeds"], row["NFE"]) == ("21", "31.1", "5 of 5", "×1.6")


def test_how_many_verdicts_chance_gives_is_said_of_those_with_enough_seeds(tmp_path):
    claims = (CLAIM, replace(CLAIM, name="never", at=("sampling_steps=99",)))
    found = verdicts(frame_of(tmp_path, *rows("emigm", SMALL), *rows("maskgit", LARGE), claims=claims))
    assert "of 1 verdict with 5 complete seeds or more, about 0.05 would be decided by chance (5 %)" in by_chance(found)
    assert "nothing is decided" in by_chance(found[1:])


def test_five_per_cent_of_verdicts_are_decided_where_nothing_differs():
    """The rate that `by_chance` states, of intervals of five log ratios as they are computed here."""
    from mgbench.report.paired import interval

    values = np.random.default_rng(0).standard_normal((4000, 5))
    decided = [low > 0 or high < 0 for _, low, high in map(interval, values)]
    assert np.mean(decided) == pytest.approx(0.05, abs=0.01)


def test_a_selection_of_rows_has_no_claims(tmp_path):
    frame_of(tmp_path, *rows("emigm", SMALL), *rows("maskgit", LARGE))
    assert verdicts(read_results(tmp_path, "s", "sampling_steps=8", every=True)) == []
    assert verdicts(read_results(tmp_path, every=True)) == []
