"""The computed time of a training step and of sampling, against numbers worked out by hand."""

import pytest

from mgbench.stages.forecast import Devices, StepTime, sampling_seconds, training_step


def test_one_device_only_computes() -> None:
    step = training_step(3e9, 64, Devices(1e12), parameters=10**9, image_bytes=1e9)
    assert step == StepTime(compute=0.192)
    assert (step.seconds, step.binds) == (0.192, "compute")


def test_what_takes_longest_binds() -> None:
    """8 devices of 100 TFLOP/s, and 200 GB/s each: 1,024 images of 1 TFLOP take 1.28 s; a ring sends 7/4 of 2 GB, in 17.5 ms."""
    devices = Devices(1e14, 8, link=2e11, reading=1e9)
    step = training_step(1e12, 1024, devices, parameters=500_000_000, image_bytes=8192)
    assert step.compute == pytest.approx(1.28)
    assert step.exchange == pytest.approx(2 * 7 / 8 * 2e9 / 2e11)
    assert step.reading == pytest.approx(1024 * 8192 / 1e9)
    assert step.binds == "compute"
    many = training_step(1e12, 1024, Devices(1e14, 1024, 2e11), parameters=5_000_000_000)
    assert many.binds == "exchange"
    assert training_step(1e9, 1024, Devices(1e14, 8, reading=1e6), image_bytes=8192).binds == "reading"


def test_sampling_is_shared_by_all_devices() -> None:
    assert sampling_seconds(1e15, Devices(1e12, 10)) == pytest.approx(100)
