import torch

from mgbench.components.datasets.emoji import Emoji
from mgbench.components.datasets.mnist import Mnist
from mgbench.components.datasets.packed import by_turns, held_out


def test_every_class_holds_out_as_many_and_an_order_belongs_to_its_name() -> None:
    labels = torch.tensor([0, 1, 2] * 40)
    chosen = held_out(labels, 7, "one")
    assert labels[chosen].bincount().tolist() == [7, 7, 7]
    assert torch.equal(chosen, held_out(labels, 7, "one"))
    assert not torch.equal(chosen, held_out(labels, 7, "another"))


def test_holding_out_more_keeps_what_was_held_out() -> None:
    labels = torch.arange(60) % 4
    few, many = held_out(labels, 3, "one"), held_out(labels, 9, "one")
    assert bool(many[few].all())


def test_classes_come_in_turn_so_that_the_first_images_hold_all() -> None:
    images = torch.arange(6, dtype=torch.uint8).view(2, 3, 1, 1, 1)
    flat, labels = by_turns(images)
    assert flat.flatten().tolist() == [0, 3, 1, 4, 2, 5]
    assert labels.tolist() == [0, 1, 0, 1, 0, 1]
    for dataset in (Mnist(), Emoji()):
        data = dataset.load()
        assert data.test_labels is not None
        counts = data.test_labels[:100].bincount()
        assert counts.max() - counts.min() <= 1
