"""Every component leads to the paper that it comes from, or is listed here as belonging to none, and every paper has an entry."""

from typing import Any

import pytest

from mgbench.interfaces.bibtex import field, papers
from mgbench.recipes.kinds import KINDS
from mgbench.registry.citations import source_of
from tests.laws.registered import registry

# Components of no paper on arXiv, and why.
OF_NO_PAPER = {
    ("dataset", "digits"): "data of the UCI repository, which scikit-learn embeds",
    ("dataset", "shapes"): "drawn here",
    ("dataset", "mnist"): "a data set of 1998",
    ("dataset", "emoji"): "drawn by the authors of a font",
    ("dataset", "image_folder"): "pictures of whoever runs it",
    ("dataset", "arrays"): "images of whoever runs it",
    ("dataset", "cifar10"): "a technical report of 2009",
    ("dataset", "cifar100"): "a technical report of 2009",
    ("dataset", "torchvision_mnist"): "a data set of 1998",
    ("tokenizer", "patch"): "pixels as they are",
    ("tokenizer", "kmeans"): "Lloyd's algorithm, of 1957",
    ("tokenizer", "pretrained_tiny"): "small autoencoders that were published without a paper",
    ("tokenizer", "levels"): "pixels as they are, rounded",
    ("mask_schedule", "sigmoid"): "an option of the code of open-muse",
    ("sampling_schedule", "sigmoid"): "an option of the code of open-muse",
    ("time_grid", "power"): "a grid made here",
    ("sampler", "planned"): "the mean counts of `ancestral`, made here",
    ("extractor", "digits_cnn"): "trained here",
    ("extractor", "shapes_cnn"): "trained here",
    ("extractor", "mnist_cnn"): "trained here",
    ("extractor", "emoji_cnn"): "trained here",
    ("extractor", "torchvision"): "any classifier of torchvision",
    ("metric", "accuracy"): "a share of images",
    ("metric", "gap"): "a difference of two FIDs, made here",
    ("reuse", "none"): "no reuse",
    ("engine", "local"): "processes of this machine",
    ("engine", "ray"): "processes of a cluster",
}
OFFERED = [(kind, name) for kind in [*KINDS, "metric", "engine"] for name in registry().names(kind)]


def said(kind: str, name: str) -> str:
    maker: Any = registry().names(kind)[name].maker
    return source_of(maker)


@pytest.mark.parametrize(("kind", "name"), OFFERED, ids=lambda text: text)
def test_a_component_names_its_paper_or_is_known_to_have_none(kind: str, name: str) -> None:
    assert any(papers(said(kind, name))) or (kind, name) in OF_NO_PAPER


def test_what_is_said_to_belong_to_no_paper_exists() -> None:
    assert set(OF_NO_PAPER) <= set(OFFERED)


def test_every_paper_that_a_component_names_has_an_entry() -> None:
    entries = {field(entry, "eprint") for offered in registry().references.values() for entry in offered.values()}
    named = {paper for kind, name in OFFERED for paper in papers(said(kind, name))}
    assert len(named) > 40
    assert not named - entries


def test_guidance_and_label_smoothing_are_cited() -> None:
    assert "2207.12598" in said("guidance_schedule", "constant")
    assert "1512.00567" in said("head", "categorical")
