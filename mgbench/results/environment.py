"""The environment of a run: machine, versions, numerical settings and git commit of the working folder."""

import json
import os
import platform
import re
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import mgbench
from mgbench.results.wording import counted

if TYPE_CHECKING:
    import torch

PATIENCE = 5.0


def environment(device: "torch.device") -> dict[str, Any]:
    """Facts that matter for reproducing a result, by name; those that a machine lacks (GPU, git) are left out."""
    import torch

    return {
        **together([device_name(device)]),
        "host": platform.node(),
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


def together(names: Sequence[str]) -> dict[str, Any]:
    """The number of devices and a summary of their names, such as "2 × NVIDIA H200"."""
    counts = Counter(names)
    said = ", ".join(name if count == 1 else f"{count} × {name}" for name, count in counts.items())
    return {"device": said, "devices": len(names)}


def device_name(device: "torch.device") -> str:
    """The name of a device; of a CPU also the number of threads."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{_cpu()} ({counted(torch.get_num_threads(), 'thread')})"


@cache
def _cpu() -> str:
    """The name of the processor, read from /proc because `platform` does not know it on Linux."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


def _cuda(device: "torch.device") -> dict[str, Any]:
    import torch

    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return {
        "gpus": len(names),
        "gpu_names": list(dict.fromkeys(names)),
        "gpu_memory": torch.cuda.get_device_properties(device).total_memory,
        "cuda": torch.version.cuda or "",
        "driver": _driver(),
    }


@cache
def _driver() -> str:
    return next(_answer("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"), "")


@cache
def _git(folder: Path) -> dict[str, Any]:
    """The git commit of a folder, and whether there are uncommitted changes; empty without git."""
    commit = next(_answer("git", "-C", str(folder), "rev-parse", "HEAD"), "")
    if not commit:
        return {}
    return {"git_commit": commit, "git_dirty": any(_answer("git", "-C", str(folder), "status", "--porcelain"))}


def _answer(*command: str) -> Iterator[str]:
    """The lines that a command prints; none if it is missing or fails."""
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        said = ""
    yield from said.splitlines()


def packages() -> tuple[str, ...]:
    """Every installed distribution as a line of a requirements file: "name==version", or the address it was installed from.

    Passwords and queries are removed from addresses, and editable installs are marked.
    """
    found: dict[str, str] = {}
    for distribution in distributions():
        name = distribution.metadata["Name"]
        if name:
            # The first on the path counts, as for imports.
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), _requirement(name, distribution))
    return tuple(found[name] for name in sorted(found))


def _requirement(name: str, distribution: Distribution) -> str:
    try:
        origin = json.loads(distribution.read_text("direct_url.json") or "{}")
        address = _without_secrets(origin["url"]) if "url" in origin else ""
    except (ValueError, AttributeError, TypeError):
        origin, address = {}, ""
    if not address:
        return f"{name}=={distribution.version}"
    vcs = origin.get("vcs_info", {})
    if vcs:
        address = f"{vcs.get('vcs', 'git')}+{address}@{vcs.get('commit_id', '')}"
    editable = "  # editable" if origin.get("dir_info", {}).get("editable") else ""
    return f"{name} @ {address}{editable}"


def _without_secrets(address: str) -> str:
    parts = urlsplit(address)
    user, at, host = parts.netloc.rpartition("@")
    shown = f"{user}{at}{host}" if user == "git" else host
    return urlunsplit((parts.scheme, shown, parts.path, "", ""))
