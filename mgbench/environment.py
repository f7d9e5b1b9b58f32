"""Where a result was made: machine, versions, numerical settings and the state of the working folder."""

import os
import platform
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mgbench

if TYPE_CHECKING:
    import torch

PATIENCE = 5.0


def environment(device: "torch.device") -> dict[str, Any]:
    """What may matter to who repeats a result, by name; what a machine does not have (a GPU, git) is left out."""
    import torch

    return {
        "device": _device(device),
        "cpu": _cpu(),
        "host_cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "mgbench": mgbench.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "tf32": torch.backends.cuda.matmul.allow_tf32,
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        **(_cuda(device) if device.type == "cuda" else {}),
        **_git(Path.cwd()),
    }


def _device(device: "torch.device") -> str:
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{_cpu()} ({torch.get_num_threads()} thread{'s' * (torch.get_num_threads() > 1)})"


@cache
def _cpu() -> str:
    """The name of the processor, which `platform` does not know on Linux."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


def _cuda(device: "torch.device") -> dict[str, Any]:
    import torch

    return {
        "gpus": torch.cuda.device_count(),
        "gpu_memory": torch.cuda.get_device_properties(device).total_memory,
        "cuda": torch.version.cuda or "",
        "driver": next(_answer("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"), ""),
    }


@cache
def _git(folder: Path) -> dict[str, Any]:
    """The commit of the working folder, and whether it holds changes that are not committed."""
    commit = next(_answer("git", "-C", str(folder), "rev-parse", "HEAD"), "")
    if not commit:
        return {}
    return {"git_commit": commit, "git_dirty": any(_answer("git", "-C", str(folder), "status", "--porcelain"))}


def _answer(*command: str) -> Iterator[str]:
    """The lines that a command prints; none where there is no such command, or it fails."""
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        said = ""
    yield from said.splitlines()
