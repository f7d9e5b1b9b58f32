"""Memory that ran out is known by any of its names, and less is tried."""

import pytest
import torch

from mgbench.stages.memory import ran_out, with_less


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("cannot allocate memory"), False),
    ],
)
def test_memory_that_ran_out_is_known(error: Exception, told: bool) -> None:
    assert ran_out(error) is told


def test_the_allocator_says_what_is_looked_for() -> None:
    with pytest.raises((RuntimeError, MemoryError)) as raised:
        torch.empty(2**60, dtype=torch.uint8)
    assert ran_out(raised.value)


def test_half_as_much_is_tried_until_it_fits() -> None:
    tried, told = [], []

    def work(batch: int) -> str:
        tried.append(batch)
        if batch > 3:
            raise MemoryError
        return "done"

    assert with_less(50, work, told.append) == "done"
    assert tried == [50, 25, 12, 6, 3]
    assert told == tried[1:]


def test_one_that_does_not_fit_either_and_other_errors_are_raised() -> None:
    def full(batch: int) -> None:
        raise MemoryError(str(batch))

    with pytest.raises(MemoryError, match=r"^1$"):
        with_less(2, full, lambda batch: None)

    def broken(batch: int) -> None:
        raise ValueError(str(batch))

    with pytest.raises(ValueError, match=r"^2$"):
        with_less(2, broken, lambda batch: None)
