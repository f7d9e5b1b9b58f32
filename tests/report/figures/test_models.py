"""Scores of models by the tokens of real images: they do not depend on the sampling, and compare models of one tokenizer."""

import pytest

from mgbench.report import read_results
from mgbench.report.figures import gallery
from mgbench.report.figures.models import by_model, model_scores
from mgbench.report.findings import findings, headline
from mgbench.report.significance import Limit, paired_test
from mgbench.report.stored import Stored
from mgbench.report.summary import comparable, sampled_scores
from mgbench.results.layout import Layout
from tests.report.synthetic import FID, record, store

BITS = "bits_per_dim[patch(size=2)]"
OTHER = "bits_per_dim[kmeans(codes=64, size=2)]"


def row(method, steps, seed, bits, tokenizer="patch(size=2)", name="bits_per_dim", **changes):
    scores = {FID: 30.0 + steps, name: bits}
    return record(method, steps, seed, recipe={"tokenizer": tokenizer}, scores=scores, floors={}, **changes)


@pytest.fixture
def rows():
    made = [row("emigm", steps, seed, 1.5 + seed / 10) for steps in (4, 8) for seed in (0, 1)]
    made += [row("maskgit", steps, seed, 1.2 + seed / 10) for steps in (4, 8) for seed in (0, 1)]
    shared = {seed: next(item for item in made if item.recipe["seed"] == seed).training_key for seed in (0, 1)}
    return made + [row("emigm-guided", 8, seed, 1.5 + seed / 10, training_key=shared[seed]) for seed in (0, 1)]


@pytest.fixture
def frame(tmp_path, rows):
    return read_results(store(tmp_path, *rows))


def test_a_model_has_one_point_the_best_on_top(frame):
    found = by_model(frame, BITS)
    assert list(found["series"]) == ["maskgit", "emigm"], "who shares a model shares its point"
    assert list(found["mean"]) == pytest.approx([1.25, 1.55])
    axes = model_scores(frame, BITS)
    assert [line.get_xdata()[0] for line in axes.lines if line.get_gid() == "model"] == pytest.approx([1.25, 1.55])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["maskgit", "emigm"]
    assert len([lines for lines in axes.collections if lines.get_gid() == "interval"]) == 2


def test_it_is_drawn_by_model_and_not_against_what_sampling_costs(tmp_path, frame):
    stems = [
        picture.stem
        for picture in gallery(Stored(frame, Layout(tmp_path)))
        if picture.section in ("Trade-offs", "Training")
    ]
    assert "bits-per-dim-patch-size-2" in stems
    assert not [stem for stem in stems if stem.startswith("bits") and "versus" in stem]
    assert sampled_scores(frame) == [FID]


def test_so_is_a_score_of_a_name_unknown_that_is_one_number_of_each_of_several_models(tmp_path):
    mine = [row(method, steps, 0, bits, name="mine") for method, bits in (("a", 2.0), ("b", 3.0)) for steps in (4, 8)]
    assert sampled_scores(read_results(store(tmp_path / "fixed", *mine))) == [FID]
    mine[0] = row("a", 4, 0, 2.1, name="mine")
    assert sampled_scores(read_results(store(tmp_path / "varies", *mine))) == [FID, "mine"]
    assert sampled_scores(read_results(store(tmp_path / "one", mine[1]))) == [FID, "mine"], (
        "of one row nothing is known"
    )


def test_models_of_different_tokenizers_have_scores_of_different_names(tmp_path, rows):
    others = [row("vq", steps, seed, 0.9, "kmeans(codes=64, size=2)") for steps in (4, 8) for seed in (0, 1)]
    frame = read_results(store(tmp_path, *rows, *others))
    assert set(frame.attrs["scores"]) == {FID, BITS, OTHER}
    assert set(comparable(frame, BITS)["method"]) == {"emigm", "maskgit", "emigm-guided"}
    assert set(comparable(frame, OTHER)["method"]) == {"vq"}
    sides = [frame[frame["method"] == method] for method in ("emigm", "vq")]
    assert set(paired_test(*sides, ("sampling_steps",))["metric"]) == {FID}
    assert len(read_results(tmp_path, where=f"{OTHER}<1")) == len(others)
    assert Limit.parse(f"{OTHER}:+5%").metric == OTHER


def test_a_short_name_is_enough_where_there_is_one_tokenizer(tmp_path, rows):
    assert len(read_results(store(tmp_path, *rows), where="bits_per_dim<1.25")) == 2


def test_what_is_said_of_it_names_no_steps(frame):
    (said,) = [text for text in findings(frame) if "Bits per dimension" in text]
    assert "by maskgit (2 seeds)" in said
    assert "step" not in said
    alone = frame[frame["method"] != "maskgit"]
    (said,) = [text for text in findings(alone) if "Bits per dimension" in text]
    assert "Next" not in said, "a series is no rival of one that shares its model"
    only = frame.drop(columns=FID)
    only.attrs.update(scores=(BITS,))
    assert headline(only).endswith("by maskgit.")
