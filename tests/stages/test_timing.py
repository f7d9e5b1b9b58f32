"""Works that take turns, ratios of medians with their intervals, and the seconds of parts inside parts."""

import itertools
import statistics

import numpy as np
import pytest
import torch
from torch import nn

from mgbench.interfaces.components import Parts
from mgbench.stages import timing
from mgbench.stages.timing import Stopwatch, in_turns, matrix_rate, ratio_of_medians

CPU = torch.device("cpu")


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that goes on by a second whenever it is read."""
    ticks = itertools.count()
    monkeypatch.setattr(timing, "clock", lambda device: float(next(ticks)))


@pytest.mark.usefixtures("ticking")
def test_works_take_turns_and_change_places_and_the_first_round_does_not_count() -> None:
    order: list[str] = []
    seconds = in_turns([lambda: order.append("a"), lambda: order.append("b")], 3, CPU)
    assert "".join(order) == "ab" + "ab" + "ba" + "ab"
    assert seconds == [[1.0] * 3, [1.0] * 3]


def test_the_ratio_of_medians_and_its_interval() -> None:
    random = np.random.default_rng(1)
    others = random.lognormal(sigma=0.1, size=31)
    ones = 2 * random.lognormal(sigma=0.1, size=31)
    ratio = ratio_of_medians(list(ones), list(others))
    assert ratio.value == statistics.median(ones) / statistics.median(others)
    assert ratio.low < ratio.value < ratio.high
    assert ratio.low < 2 < ratio.high
    assert ratio.high < 1.3 * ratio.low
    same = ratio_of_medians([3.0] * 5, [2.0] * 5)
    assert (same.value, same.low, same.high) == (1.5, 1.5, 1.5)
    with pytest.raises(ValueError, match="every round"):
        ratio_of_medians([1.0], [1.0, 2.0])


def test_the_interval_of_a_ratio_covers_it_about_as_often_as_it_says() -> None:
    """Of 200 comparisons of equal works, the interval of 95 % leaves 1 out in few."""
    random = np.random.default_rng(2)
    sides = random.lognormal(sigma=0.2, size=(200, 2, 15))
    held = [
        found.low <= 1 <= found.high for one, other in sides for found in [ratio_of_medians(list(one), list(other))]
    ]
    assert 0.88 < np.mean(held) < 0.995


@pytest.mark.usefixtures("ticking")
def test_a_part_inside_another_counts_for_itself_only() -> None:
    watch = Stopwatch(CPU)
    with watch.part("outer"):
        with watch.part("inner"):
            pass
        watch.timed("inner", lambda: None)()
    # The clock was read at 0 and 5 by the outer part, and at 1, 2 and 3, 4 inside it.
    assert watch.seconds == {"outer": 3.0, "inner": 2.0}


class Chooses:
    requires = "mask"

    def choose(self, *given: object) -> object:
        return given


@pytest.mark.usefixtures("ticking")
def test_a_watched_model_is_timed_by_children_blocks_and_choices() -> None:
    model = nn.Module()
    model.network = nn.Module()
    model.network.encoder = nn.ModuleList([nn.Identity(), nn.Identity()])
    model.network.forward = lambda x: [block(x) for block in model.network.encoder][-1]
    model.head = nn.Identity()
    model.head.layers = nn.ModuleList([nn.Identity()])
    watch = Stopwatch(CPU)
    parts = watch.watched(model, Parts(sampler=Chooses(), solver=1))
    model.network(torch.ones(1))
    model.head(torch.ones(1))
    model.head.layers[0](torch.ones(1))
    assert parts.sampler.choose(1, 2) == (1, 2)
    assert (parts.sampler.requires, parts.solver) == ("mask", 1)
    assert watch.seconds == {"encoder": 2.0, "network": 3.0, "head": 1.0, "choosing": 1.0}


def test_the_rate_of_matrix_products_is_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "SIDE", 64)
    assert matrix_rate(CPU, seconds=0.01) > 1e6
