"""A plugin of another distribution is installed by pip, and is then a method like ours: listed, run, scored and drawn."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from mgbench.registry.laws import law_checks
from tests.environments import INSTALL, clean_environment, ran

PROJECT = Path(__file__).parent / "mgbench-confident"


def test_it_keeps_the_laws() -> None:
    found = law_checks([str(PROJECT / "mgbench_confident.py")])
    assert [str(one) for one in found] == ["sampler confident", "method fast_dllm"]
    for one in found:
        one()


@pytest.mark.slow
def test_it_is_installed_listed_run_beside_emigm_and_drawn(tmp_path: Path) -> None:
    project = shutil.copytree(PROJECT, tmp_path / "project")
    python = clean_environment(tmp_path / "env")
    ran(python, *INSTALL, str(project), folder=tmp_path)
    mgbench = (python, "-m", "mgbench")
    (row,) = (
        row
        for row in json.loads(ran(*mgbench, "plugins", "--no-check", "--json", folder=tmp_path))
        if row["name"] == "confident"
    )
    assert row["from"] == "mgbench-confident 1.2.0 (mgbench_confident)"
    assert row["brings"] == ["samplers", "recipes", "references"]
    tiny = ("train_steps=20", "batch_size=32", "samples=40", "metrics=fid", "sampling_steps=2")
    settings = [part for setting in tiny for part in ("--set", setting)]
    ran(
        *mgbench, "run", "--plugins", "emigm,confident", "--methods", "emigm,fast_dllm", "--devices", "cpu:2", "--quiet",
        *settings, folder=tmp_path,
    )  # fmt: skip
    (report,) = (tmp_path / "reports").iterdir()
    table = pd.read_csv(report / "table.csv")
    assert set(table["method"]) >= {"emigm", "fast_dllm"}
    assert "fast_dllm" in (report / "index.html").read_text(encoding="utf-8")
    assert (report / "figures" / "fid-versus-nfe.png").stat().st_size > 1000
    assert "2505.22618" in (report / "references.bib").read_text(encoding="utf-8")
    records = [path.read_text(encoding="utf-8") for path in (tmp_path / "results" / "runs").glob("*/record.json")]
    assert sum("mgbench-confident 1.2.0" in record for record in records) == 1
