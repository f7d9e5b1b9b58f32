import math

import pytest
import torch
from scipy import stats

from mgbench.interfaces.randomness import Streams, derive

ROOT = Streams.root(0, "test")
MANY = ROOT.fold(torch.arange(20_000))


def test_numbers_are_uniform_within_a_stream_and_across_streams() -> None:
    for numbers in (ROOT.uniform(50_000), MANY.uniform(1)[:, 0], ROOT.fold(torch.arange(1000)).uniform(50).flatten()):
        assert stats.kstest(numbers.numpy(), "uniform").pvalue > 1e-3
        assert numbers.min() > 0
        assert numbers.max() < 1


def test_normal_and_gumbel_numbers_follow_their_laws() -> None:
    assert stats.kstest(MANY.normal(2)[:, 1].numpy(), "norm").pvalue > 1e-3
    assert stats.kstest(MANY.gumbel(2)[:, 1].numpy(), "gumbel_r").pvalue > 1e-3


def test_neighbours_are_independent() -> None:
    # Streams of neighbouring images, neighbouring numbers of one stream, and one image at neighbouring steps.
    own = MANY.normal(2)
    step = MANY.fold(1).normal(1)[:, 0]
    pairs = [(own[1:, 0], own[:-1, 0]), (own[:, 0], own[:, 1]), (own[:, 0], step), (MANY.fold(2).normal(1)[:, 0], step)]
    for first, second in pairs:
        correlation = torch.corrcoef(torch.stack([first, second]))[0, 1]
        assert abs(correlation) < 5 / math.sqrt(len(first))


def test_pairs_fill_the_square_evenly() -> None:
    x, y = (MANY.uniform(2) * 10).long().T
    seen = torch.bincount(10 * x + y, minlength=100)
    assert stats.chisquare(seen.numpy()).pvalue > 1e-3


def test_folds_do_not_commute_or_collide() -> None:
    assert ROOT.fold(1).fold(2).keys != ROOT.fold(2).fold(1).keys
    keys = ROOT.fold(torch.arange(300))[:, None].fold(torch.arange(300)).keys
    assert len(keys.unique()) == 300 * 300


def test_an_image_has_the_same_numbers_in_every_batch() -> None:
    few = ROOT.fold(torch.tensor([7, 19_999, 0])).uniform(5)
    assert torch.equal(few, MANY.uniform(5)[[7, 19_999, 0]])
    assert torch.equal(MANY[torch.tensor([3])].normal(4), MANY.normal(4)[[3]])


def test_asking_for_more_numbers_does_not_change_the_first() -> None:
    assert torch.equal(ROOT.uniform(10)[:4], ROOT.uniform(4))


@pytest.mark.parametrize("number", [0, 1, 12345, 2**40, -1])
def test_folding_a_number_is_folding_a_tensor(number: int) -> None:
    assert torch.equal(ROOT.fold(number).keys, ROOT.fold(torch.tensor(number)).keys)
    assert torch.equal(ROOT.fold(torch.tensor([number, 5])).keys[0], ROOT.fold(number).keys)


def test_seeds_and_purposes_are_apart() -> None:
    seeds = {derive(seed, purpose) for seed in range(100) for purpose in ("images", "shared", "train/1", "train/11")}
    assert len(seeds) == 400
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert derive(3, "images") == derive(3, "images")


def test_the_stream_is_what_it_was_when_results_were_stored() -> None:
    assert Streams.root(0, "images").uniform(2).tolist() == pytest.approx([KNOWN_FIRST, KNOWN_SECOND], abs=1e-15)


KNOWN_FIRST, KNOWN_SECOND = 0.45117696355104114, 0.6486223615990032


def test_gumbel_numbers_are_float64_and_need_to_be() -> None:
    assert ROOT.gumbel(1).dtype == torch.float64
    last = torch.tensor(1 - 2.0**-53, dtype=torch.float64)
    assert (-torch.log(-torch.log(last))).item() == pytest.approx(53 * math.log(2))
    # In float32 all above 1 - 2^-25 is 1, so the tail is cut: the largest finite Gumbel number is 17 rather than 37.
    assert (-torch.log(-torch.log(last.float()))).isinf()
    below = torch.nextafter(torch.tensor(1.0), torch.tensor(0.0))
    assert -torch.log(-torch.log(below)) < 17


def test_float32_would_draw_unlikely_codes_at_other_rates() -> None:
    """A code that should win once in 2^26 draws never can when both numbers are float32: where it starts to, 1 is skipped."""
    code, chance = math.log(2.0**-26), 2.0**-26
    uniform = torch.tensor(1 - chance / 4, dtype=torch.float64)
    wins = code - torch.log(-torch.log(uniform)) > 0
    wins_in_float32 = code - torch.log(-torch.log(torch.nextafter(torch.tensor(1.0), torch.tensor(0.0)))) > 0
    assert wins
    assert not wins_in_float32
