"""What a run told MLflow, without a server, is in its files."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plugins.tracked import CURVE, run_in, track

pytest.importorskip("mlflow", reason="MLflow is not installed")

from mgbench_plugins import mlflow as plugin


@pytest.fixture(autouse=True)
def _no_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    import mlflow

    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "")
    yield
    mlflow.set_tracking_uri(None)  # type: ignore[arg-type]


def test_the_curve_the_scores_and_the_failure_can_be_read_back(tmp_path: Path) -> None:
    from mlflow import MlflowClient

    track(plugin, run_in(tmp_path))
    client = MlflowClient(tmp_path.as_uri())
    experiment = client.get_experiment_by_name("grid")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_name == "emigm (seed 0)"
    assert run.info.status == "FINISHED"
    assert run.data.params["mask_schedule"] == "exp(rate=5.0)"
    assert run.data.params["metrics"] == "fid, kid"
    assert "head" not in run.data.params
    loss = client.get_metric_history(run.info.run_id, "train/loss")
    assert {point.step: point.value for point in loss} == CURVE
    assert run.data.metrics["fid_digits_cnn_/sampling_steps_4"] == 12.25
    assert run.data.tags["status/sampling_steps_8"] == "failed: RuntimeError: no luck"


def test_the_trials_of_a_study_are_runs_of_one_experiment(tmp_path: Path) -> None:
    from mlflow import MlflowClient

    for key in ("a" * 16, "b" * 16):
        track(plugin, run_in(tmp_path, key))
    client = MlflowClient(tmp_path.as_uri())
    (experiment,) = client.search_experiments(filter_string="name = 'grid'")
    assert len(client.search_runs([experiment.experiment_id])) == 2


def test_a_server_that_is_named_is_the_one_that_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "elsewhere").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    track(plugin, run_in(tmp_path / "results"))
    assert list((tmp_path / "elsewhere").glob("*/*/metrics/train/loss"))
    assert not (tmp_path / "results").exists()
