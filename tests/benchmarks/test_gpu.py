"""The script for a GPU, on a CPU with tiny models of the same recipes: all comes out but what only kernels tell."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from torch.autograd import DeviceType

from benchmarks import gpu


def test_the_same_script_runs_on_a_cpu(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = gpu.main(["--out", str(tmp_path), "--device", "cpu", "--tiny", "--no-tests"])
    assert json.loads((tmp_path / "gpu.json").read_text())["train l"]["batch"] == 4
    for size in ("b", "l"):
        trained, drawn = found[f"train {size}"], found[f"sample {size}-16steps"]
        assert trained["images_per_second"] > 0
        assert trained["flops_per_second"] > trained["images_per_second"]
        assert (trained["utilisation"], trained["idle"]) == (None, None)
        assert (tmp_path / f"train-{size}.json.gz").stat().st_size > 100
        low, high = drawn["interval"]
        assert 0 < low <= drawn["times_as_fast"] <= high
        assert drawn["usual_images_per_second"] > 0
    assert found["left_out"] == []
    assert "left out: nothing" in capsys.readouterr().out


def test_what_would_begin_too_late_is_left_out(tmp_path: Path) -> None:
    found = gpu.main(["--out", str(tmp_path), "--device", "cpu", "--tiny", "--no-tests", "--minutes", "0"])
    assert found["left_out"] == ["train b", "train l", "sample b-16steps", "sample l-16steps"]


def test_a_part_that_fails_is_named_and_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(subject: object, *rest: object) -> None:
        raise RuntimeError("no kernel image\n is available")

    monkeypatch.setattr(gpu, "training", fail)
    monkeypatch.setattr(gpu, "sampling", lambda subject, rounds, usual: {"usual": usual})
    gpu.main(["--out", str(tmp_path), "--device", "cpu", "--tiny", "--no-tests"])
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert found["train b"] == {"failed": "RuntimeError: no kernel image is available"}
    assert found["sample l-16steps"] == {"usual": True}


def test_names_of_parts_of_a_program_are_no_work_of_a_gpu() -> None:
    def event(start: float, end: float, device: DeviceType = DeviceType.CUDA, named: bool = False) -> SimpleNamespace:
        span = SimpleNamespace(start=start, end=end)
        return SimpleNamespace(time_range=span, device_type=device, is_user_annotation=named)

    step = event(0, 10, named=True)
    assert gpu.idle_in([event(2, 4), event(6, 12), step, event(0, 20, DeviceType.CPU)]) == pytest.approx(0.2)
    assert gpu.idle_in([step]) is None


@pytest.mark.parametrize(
    ("kernels", "idle"),
    [
        ([(0, 10)], 0.0),
        ([(2, 4), (6, 8)], 0.6),
        ([(0, 6), (2, 4), (5, 8)], 0.2),
        ([(-5, 2), (9, 20)], 0.7),
        ([], 1.0),
    ],
)
def test_a_gpu_is_idle_while_no_kernel_runs(kernels: list[tuple[float, float]], idle: float) -> None:
    assert gpu.idle_share(kernels, 0, 10) == pytest.approx(idle)
