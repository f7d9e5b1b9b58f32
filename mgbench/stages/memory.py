"""Detection of out-of-memory errors, and retries with smaller batches."""

import gc
from collections.abc import Callable
from typing import TypeVar

import torch

T = TypeVar("T")

# Messages of allocators that raise a plain RuntimeError: PyTorch's on the CPU, cuDNN's and cuBLAS's for workspaces.
_SAYINGS = (
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
    "cudnn_status_alloc_failed",
    "cublas_status_alloc_failed",
)


def ran_out(error: BaseException) -> bool:
    """Whether an error means that memory ran out."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(saying in str(error).lower() for saying in _SAYINGS)


def with_less(batch: int, work: Callable[[int], T], tell: Callable[[int], None]) -> T:
    """Call `work` with a batch size, halving it whenever memory runs out; `tell` is called with the new size.

    Raises:
        Exception: what `work` raises; out-of-memory errors only at batch size 1.
    """
    while True:
        try:
            return work(batch)
        except Exception as error:
            if batch == 1 or not ran_out(error):
                raise
        # Outside the `except`, nothing references the frames and tensors of the failed call.
        release()
        batch = batch // 2
        tell(batch)


def release() -> None:
    """Give memory back that nothing references any more, to the GPU as well."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
