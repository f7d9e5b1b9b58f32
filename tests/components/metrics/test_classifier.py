import pytest
import torch
from torch import Tensor

from mgbench.components.metrics.classifier import Accuracy, InceptionScore
from mgbench.errors import Unfit, UserError
from mgbench.interfaces.data import Features


def normal(count: int, dim: int = 8, seed: int = 0) -> Tensor:
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


LOGITS = torch.tensor([[2.0, 1.0, 0.0], [0.0, 3.0, 1.0], [0.0, 1.0, 5.0], [4.0, 0.0, 0.0]])


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (torch.tensor([0, 1, 2, 0]), {"accuracy": 1.0}),
        (torch.tensor([1, 1, 2, 0]), {"accuracy": 0.75}),
        (torch.tensor([1, 0, 0, 2]), {"accuracy": 0.0}),
        (torch.tensor([0, 0, -1, -1]), {"accuracy": 0.5}),
        (torch.tensor([-1, -1, -1, -1]), {}),
        (None, {}),
    ],
)
def test_accuracy_of_hand_made_logits(labels: Tensor | None, expected: dict[str, float]) -> None:
    assert Accuracy()(Features(normal(4), LOGITS, labels), Features(normal(4))) == expected


def test_accuracy_needs_logits() -> None:
    assert Accuracy()(Features(normal(4), None, torch.zeros(4, dtype=torch.int64)), Features(normal(4))) == {}


@pytest.mark.parametrize(
    ("logits", "sentence"),
    [(LOGITS[:1], "at least 2 images"), (LOGITS * float("nan"), "not finite")],
)
def test_accuracy_refuses_what_it_cannot_judge(logits: Tensor, sentence: str) -> None:
    with pytest.raises((Unfit, UserError), match=sentence):
        Accuracy()(Features(normal(4), logits, torch.zeros(len(logits), dtype=torch.int64)), Features(normal(4)))


def certain(labels: Tensor, classes: int) -> Features:
    """Images whose class is beyond doubt."""
    return Features(normal(len(labels)), torch.nn.functional.one_hot(labels, classes) * 100.0)


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        (certain(torch.arange(40) % 5, 5), 5.0),
        (certain(torch.zeros(40, dtype=torch.int64), 5), 1.0),
        (Features(normal(40), torch.zeros(40, 5)), 1.0),
        (certain(torch.arange(40) % 2, 5), 2.0),
    ],
)
def test_inception_score_counts_certain_classes(features: Features, expected: float) -> None:
    assert InceptionScore()(features, features)["inception_score"] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("splits", [1, 7])
def test_torch_fidelity_agrees_on_inception_score(splits: int) -> None:
    theirs = pytest.importorskip("torch_fidelity.metric_isc", reason="torch-fidelity is the second opinion")
    logits = 2 * normal(700, 10)
    said = theirs.isc_features_to_metric(logits, splits=splits)
    # The splits differ, so the means agree as far as means of so many draws do.
    tolerance = 1e-9 if splits == 1 else 5 * said["inception_score_std"] * (2 / splits) ** 0.5
    ours = InceptionScore(splits)(Features(normal(700), logits), Features(normal(2)))["inception_score"]
    assert ours == pytest.approx(said["inception_score_mean"], abs=tolerance)


def test_inception_score_says_what_it_needs() -> None:
    with pytest.raises(Unfit, match="needs class logits"):
        InceptionScore()(Features(normal(4)), Features(normal(4)))
    with pytest.raises(Unfit, match="at least 2 images in each split, and 5 images in 3 splits leave one with 1"):
        InceptionScore(splits=3)(Features(normal(5), LOGITS[[0, 1, 2, 3, 0]]), Features(normal(4)))


@pytest.mark.parametrize("count", [8, 9, 10, 11])
def test_adm_takes_consecutive_images(count: int) -> None:
    logits = 2 * normal(count, 5)
    said = InceptionScore(split_size=4, shuffle=False)
    if count == 9:
        with pytest.raises(Unfit, match="split_size 4 leave one with 1"):
            said(Features(normal(count), logits), Features(normal(2)))
        return
    parts = [logits[start : start + 4] for start in range(0, count, 4)]
    alone = [InceptionScore()(Features(part, part), Features(normal(2)))["inception_score"] for part in parts]
    found = said(Features(normal(count), logits), Features(normal(2)))["inception_score"]
    assert found == pytest.approx(sum(alone) / len(alone), rel=1e-12)


def test_consecutive_images_of_one_class_have_no_score() -> None:
    # Samples in class order: ADM's way of splitting says 1 of what scores 5 as a whole.
    ordered = certain(torch.arange(5).repeat_interleave(4), 5)
    assert InceptionScore(split_size=4, shuffle=False)(ordered, ordered)["inception_score"] == pytest.approx(1)
    assert InceptionScore()(ordered, ordered)["inception_score"] == pytest.approx(5)
