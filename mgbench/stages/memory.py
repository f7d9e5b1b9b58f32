"""Out-of-memory errors, however a library reports them, and retries with a smaller batch."""

import gc
from collections.abc import Callable
from typing import TypeVar

import torch

T = TypeVar("T")

# How allocators that raise a plain RuntimeError say it: PyTorch's for the CPU, cuDNN's and cuBLAS's for their workspaces.
_SAYINGS = (
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
    "cudnn_status_alloc_failed",
    "cublas_status_alloc_failed",
)


def ran_out(error: BaseException) -> bool:
    """Whether an error says that there is no more memory."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(saying in str(error).lower() for saying in _SAYINGS)


def with_less(batch: int, work: Callable[[int], T], tell: Callable[[int], None]) -> T:
    """Do something with a batch of this size, and with half of it as often as memory runs out; `tell` hears the new size.

    Raises:
        Exception: what `work` raises; that memory ran out only where there is nothing left to halve.
    """
    while True:
        try:
            return work(batch)
        except Exception as error:
            if batch == 1 or not ran_out(error):
                raise
        # Out here nothing holds the frames, and the tensors, of what failed.
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        batch = batch // 2
        tell(batch)
