"""What a run stands on: said when it is there, and what is wrong is said with what to do."""

import shutil
from collections import namedtuple
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import torch

from mgbench.engines import preflight as surroundings
from mgbench.engines.preflight import Surroundings, survey
from mgbench.errors import UserError


def broken(found: Surroundings) -> list[str]:
    return [finding.says for finding in found.findings if finding.broken]


def test_where_all_is_well_there_are_facts(tmp_path: Path) -> None:
    found = survey(tmp_path)
    assert broken(found) == []
    said = "\n".join(found.facts)
    for fact in (f"mgbench {metadata.version('mgbench')}", f"torch {torch.__version__} on cpu", "maskgit", "free of"):
        assert fact in said


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    found = survey(tmp_path / "not" / "there")
    assert broken(found) == []
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_installed_or_too_old_is_told_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ["pandas>=9999", "not-a-package>=1", 'of-an-extra>=1; extra == "ray"', "numpy", 'odd; python_version < "3"']
    monkeypatch.setattr(metadata, "requires", lambda name: asked)
    assert broken(survey(tmp_path)) == [
        f"pandas {metadata.version('pandas')} is not what mgbench needs, >=9999; pip install 'pandas>=9999'",
        "not-a-package is not installed, and mgbench needs it; pip install 'not-a-package>=1'",
    ]


def test_a_plugin_that_does_not_load_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mgbench.registry.loading import load

    registry = load()
    registry.problems["maskgit"] = "plugin 'maskgit' (mgbench_plugins.maskgit): SyntaxError: invalid syntax"
    monkeypatch.setattr("mgbench.registry.loading.load", lambda: registry)
    found = survey(tmp_path)
    (said,) = broken(found)
    assert said == f"{registry.problems['maskgit']}; its methods are missing until it is mended or uninstalled"
    assert not any("maskgit" in fact for fact in found.facts)


def test_components_that_do_not_load_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise UserError("plugin 'frechet': ImportError: no scipy")

    monkeypatch.setattr("mgbench.registry.loading.load", fail)
    (said,) = broken(survey(tmp_path))
    assert "no scipy" in said


def test_a_device_that_does_not_compute_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ones = torch.ones

    def fail(*shape: int, device: str) -> Any:
        if device == "cuda:0":
            raise RuntimeError("CUDA error: uncorrectable ECC error\nmore lines")
        return ones(*shape, device=device)

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "H100")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: namedtuple("P", "total_memory")(80 * 10**9))
    monkeypatch.setattr(torch, "ones", fail)
    found = survey(tmp_path)
    assert broken(found) == [
        "cuda:0 does not compute (CUDA error: uncorrectable ECC error); name another with --device, or restart its driver"
    ]
    assert any("cuda:0 (H100, 80 GB)" in fact for fact in found.facts)


def test_a_device_that_computes_wrongly_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zeros = torch.zeros
    monkeypatch.setattr(torch, "ones", lambda *shape, device: zeros(*shape))
    (said,) = broken(survey(tmp_path))
    assert "is not 8" in said


def test_a_disk_with_little_room_is_told_and_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type(shutil.disk_usage(tmp_path))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**12, 10**12, surroundings.SCARCE - 10**6))
    found = survey(tmp_path)
    assert broken(found) == []
    assert any("only 999 MB are free" in finding.says and "--results" in finding.says for finding in found.findings)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**rest: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    (said,) = broken(survey(tmp_path))
    assert "read-only file system; choose another folder with --results, and a run stops there" in said
