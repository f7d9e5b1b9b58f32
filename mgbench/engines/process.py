"""Set up a process that trains and samples: one thread, and memory of the C library that stays with the process."""

import ctypes

import torch

# Parameters of mallopt (glibc, malloc.h), in bytes: the free memory at the end of the heap above which it goes back to the
# system, and the size from which an allocation is the system's own and goes back at once (at most 32 MiB).
_KEPT, _OWN = (-1, 256 * 2**20), (-3, 32 * 2**20)


def set_up_process() -> None:
    """Compute on one thread, and keep freed memory for the next step.

    Without that, every step gives its memory back, and the system clears each page of it again in the next one.
    """
    torch.set_num_threads(1)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for parameter, size in (_KEPT, _OWN):
            mallopt(parameter, size)
