"""Checks before a run: package versions, torch devices, plugins, free disk space and a writable results folder."""

import contextlib
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from types import ModuleType

from mgbench.errors import UserError
from mgbench.results.maintenance.findings import Finding
from mgbench.results.store import Store
from mgbench.results.wording import amount

# Bytes; enough for a study of small images.
SCARCE = 10**9
NAME = "mgbench"


@dataclass
class Surroundings:
    """Facts about the machine, as sentences, and problems found."""

    facts: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def add_problem(self, said: str) -> None:
        """Add a problem that prevents every run."""
        self.findings.append(Finding(said, broken=True))

    def add_note(self, said: str) -> None:
        """Add a note that prevents no run."""
        self.findings.append(Finding(said))


def survey(root: Path) -> Surroundings:
    """Check everything that a run with this results folder needs."""
    found = Surroundings(
        [f"{NAME} {metadata.version(NAME)}, Python {platform.python_version()}, {platform.platform()}"]
    )
    _packages(found)
    _torch(found)
    _plugins(found)
    _disk(found, root)
    return found


def _packages(found: Surroundings) -> None:
    """Check that every requirement of the distribution, extras aside, is installed in a version that fits."""
    from packaging.requirements import Requirement

    for requirement in map(Requirement, metadata.requires(NAME) or ()):
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        install = f"pip install '{requirement.name}{requirement.specifier}'"
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            found.add_problem(f"{requirement.name} is not installed, and mgbench needs it; {install}")
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            found.add_problem(
                f"{requirement.name} {version} is not what mgbench needs, {requirement.specifier}; {install}"
            )


def _torch(found: Surroundings) -> None:
    try:
        import torch
    except Exception as error:
        found.add_problem(f"torch cannot be imported ({error}), so nothing runs; install it again, see pytorch.org")
        return
    devices = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    found.facts.append(f"torch {torch.__version__} on {', '.join(_device(torch, device) for device in devices)}")
    if torch.version.cuda and len(devices) == 1:
        found.add_note(f"torch is built for CUDA {torch.version.cuda} and sees no GPU, so everything runs on the CPU; "
                    "if there is one, look whether nvidia-smi lists it and what CUDA_VISIBLE_DEVICES says")  # fmt: skip
    for device in devices:
        said = _fails(torch, device)
        if said:
            found.add_problem(f"{device} does not compute ({said}); name another with --device, or restart its driver")


def _device(torch: ModuleType, device: str) -> str:
    if device == "cpu":
        return f"cpu ({torch.get_num_threads()} threads)"
    memory = amount(torch.cuda.get_device_properties(device).total_memory)
    return f"{device} ({torch.cuda.get_device_name(device)}, {memory})"


def _fails(torch: ModuleType, device: str) -> str:
    """The error of a device that cannot multiply two matrices of ones; empty if it can."""
    try:
        ones = torch.ones(8, 8, device=device)
        return "" if bool((ones @ ones == 8).all()) else "8 × 1 × 1 is not 8"
    except Exception as error:
        return str(error).partition("\n")[0]


def _plugins(found: Surroundings) -> None:
    from mgbench.registry.loading import installed, load

    try:
        problems = load().problems
    except Exception as error:
        found.add_problem(f"the components cannot be loaded ({error}), so nothing runs; install mgbench again")
        return
    found.facts.append(f"{len(installed()) - len(problems)} plugins: {', '.join(sorted({*installed()} - {*problems}))}")
    for problem in problems.values():
        found.add_problem(f"{problem}; its methods are missing until it is mended or uninstalled")


def _disk(found: Surroundings, root: Path) -> None:
    above = next(folder for folder in (root.absolute(), *root.absolute().parents) if folder.exists())
    usage = shutil.disk_usage(above)
    found.facts.append(f"{amount(usage.free)} free of {amount(usage.total)} where {root} lies")
    if usage.free < SCARCE:
        found.add_note(
            f"only {amount(usage.free)} are free where {root} lies; a run that fills them up stops with what is finished, "
            "so free some space, or choose another folder with --results"
        )
    for said in _unwritable(root, above):
        found.add_problem(f"{said}, and a run stops there")


def _unwritable(root: Path, above: Path) -> Iterator[str]:
    """The reason that a folder cannot be written, if so; a missing folder is not created."""
    probed = Store(root if root.exists() else above)
    with contextlib.suppress(OSError):
        try:
            probed.check_writable()
        except UserError as error:
            yield str(error)
