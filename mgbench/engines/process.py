"""Set up a process that trains and samples: one thread, and memory of the C library that stays with the process."""

import ctypes

import torch

# Parameters of mallopt (glibc, malloc.h), in bytes: the free memory at the end of the heap above which it goes back to the
# system, the size from which an allocation is the system's own and goes back at once (at most 32 MiB), and that up to which
# freed pieces are set apart: none, as all of these would be merged again whenever a large one is freed.
_KEPT, _OWN, _APART = (-1, 256 * 2**20), (-3, 32 * 2**20), (1, 0)


def set_up_process() -> None:
    """Compute on one thread, and keep freed memory for the next step.

    Without that, every step gives its memory back, and the system clears each page of it again in the next one.
    """
    torch.set_num_threads(1)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for parameter, size in (_KEPT, _OWN, _APART):
            mallopt(parameter, size)
