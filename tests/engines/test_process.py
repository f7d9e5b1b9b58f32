"""Processes that compute."""

import platform
import resource

import pytest
import torch

from mgbench.engines.process import set_up_process

MIB = 2**20


def faults_of_a_step() -> int:
    """The pages that the system hands out while 48 MiB in pieces of 4 MiB are written and freed."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    pieces = [torch.ones(MIB) for _ in range(12)]
    pieces.clear()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_memory_of_a_step_is_that_of_the_step_before() -> None:
    set_up_process()
    # Memory that the process has in pieces too small for these is no matter of the setting: the least of a few steps counts.
    assert min(faults_of_a_step() for _ in range(4)) < 48 * MIB / resource.getpagesize() / 10
    assert torch.get_num_threads() == 1
