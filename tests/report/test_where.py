import pandas as pd
import pytest

from mgbench.errors import UserError
from mgbench.report.frame import read_results
from mgbench.report.where import select
from tests.report.synthetic import record, store, sweep


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return store(tmp_path_factory.mktemp("where"), *sweep(seeds=(0,)))


@pytest.mark.parametrize(
    ("condition", "rows"),
    [
        ("", 72),
        ("sampler=halton", 24),
        ("sampler=halton(a=1)", 24),
        ("sampler=halton(a=2)", 0),
        ("sampler!=halton", 48),
        ("sampler=halton and sampling_steps<=8", 16),
        ("sampler=halton AND sampling_steps < 8 and guidance_schedule=none", 2),
        ("nfe>=16", 24),
        ("labels=true", 72),
        ("labels=false", 0),
        ("status=done and method=emigm", 72),
        ("mask_schedule == exp(rate=3.0)", 36),
        ("mask_schedule=exp(rate=3)", 36),
        ("mask_schedule=exp(3)", 36),
        ("mask_schedule=exp(rate=3, of=2)", 0),
        ("mask_schedule=exp(rate='a and b') and nfe>=16", 0),
    ],
)
def test_a_condition_keeps_the_rows_for_which_it_holds(results, condition, rows):
    assert len(read_results(results, where=condition)) == rows


def test_a_score_is_named_without_its_extractor_and_no_number_meets_no_bound(results):
    frame = read_results(results, where="fid<25")
    assert 0 < len(frame) < 72
    assert (frame["fid[digits_cnn]"] < 25).all()


def test_what_no_longer_varies_leaves_the_names(results):
    assert all("sampler" not in name for name in read_results(results, where="sampler=halton")["series"])


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("samplr=halton", "no column 'samplr'; did you mean 'sampler'?"),
        ("sampler", "cannot read the condition 'sampler'"),
        ("sampler=halton or nfe<2", "cannot read"),
        ("sampler<halton", "takes a number"),
        ("nfe<", "cannot read the condition"),
    ],
)
def test_a_condition_that_cannot_be_read_is_said(results, condition, said):
    with pytest.raises(UserError, match="(?s)" + said.replace("?", r"\?")):
        read_results(results, where=condition)


def test_an_unfinished_row_meets_no_condition_on_its_scores(tmp_path):
    rows = [record("emigm", 4), record("emigm", 8, status="failed", scores={}, costs={})]
    assert len(read_results(store(tmp_path, *rows), where="nfe>0")) == 1


TYPED = [
    ("constant(scale=1)", "constant(scale=1.0)", True),
    ("constant(1)", "constant(scale=1.0)", True),
    ("constant(scale=true)", "constant(scale=1.0)", False),
    ("constant(scale=2)", "constant(scale=1.0)", False),
    ("diffusion(width=64)", "diffusion(width=64, depth=3, noise_samples=2)", True),
    ("diffusion(width=64, depth=2)", "diffusion(width=64, depth=3, noise_samples=2)", False),
    ("interval(inner=constant)", "interval(low=0.1, high=0.7, inner=constant(scale=2.0))", True),
    ("interval(inner=constant(scale=2))", "interval(low=0.1, high=0.7, inner=constant(scale=2.0))", True),
    ("interval(0.1, 0.7, inner=linear)", "interval(low=0.1, high=0.7, inner=constant(scale=2.0))", False),
    ("image_folder(path=/data/x and y)", "image_folder(path='/data/x and y', side=8)", True),
    ("fsq(levels=[8, 5])", "fsq(levels=[8, 5], width=32)", True),
    ("fsq(levels=[8])", "fsq(levels=[8, 5], width=32)", False),
    ("emigm-unguided", "emigm-unguided", True),
    ("halton", "halton(roll=true)", True),
    ("halton(roll=true)", "halton", False),
]


@pytest.mark.parametrize(("typed", "stored", "found"), TYPED)
def test_what_is_typed_is_what_is_found(typed, stored, found):
    frame = pd.DataFrame({"dataset": [stored, "other(scale=7)"]})
    assert len(select(frame, f"dataset={typed}")) == found
    assert len(select(frame, f"dataset={typed} and dataset!=x")) == found
