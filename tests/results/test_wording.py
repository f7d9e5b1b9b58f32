"""Numbers in sentences."""

import numpy as np
import pytest

from mgbench.results.wording import amount, counted, duration


@pytest.mark.parametrize(
    ("count", "said"),
    [
        *((0, "0 bytes"), (1, "1 byte"), (999, "999 bytes"), (1000, "1 kB"), (20_123, "20.1 kB"), (999_499, "999 kB")),
        *((999_500, "1 MB"), (3_456_000_000, "3.46 GB"), (2 * 10**12, "2 TB"), (5 * 10**15, "5e+03 TB")),
    ],
)
def test_a_number_of_bytes_is_read_in_three_digits(count: int, said: str) -> None:
    assert amount(count) == said


def test_things_are_counted() -> None:
    assert [counted(count, "row") for count in (0, 1, np.int64(1), np.int64(2))] == [
        "0 rows",
        "1 row",
        "1 row",
        "2 rows",
    ]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (99, "99 s"), (100, "2 min"), (5940, "99 min"), (12000, "3 h 20 min"), (8.64e7, "1,000 days")],
)
def test_times_are_told_in_the_units_that_say_most(seconds: float, said: str) -> None:
    assert duration(seconds) == said
