"""Measured speeds in reports: tables of texts, and a section on the page where methods shown were measured."""

from pathlib import Path

import pytest

from mgbench.report.page.report import write_report
from mgbench.report.speed import reasons, speed_tables
from mgbench.report.stored import read_stored
from mgbench.results.layout import Layout
from mgbench.results.speed import Speed, save_speed, stored_speeds
from tests.report.synthetic import record, store

COSTS = {
    "matrix_rate": 1e11,
    "train_step_seconds": 0.064,
    "train_images_per_second": 1000.0,
    "train_share": 0.42,
    "seconds_per_image": 0.02,
}


def speed(method: str = "emigm", batch: int = 64, compiled: str = "off", **costs: float) -> Speed:
    recipe = {"batch_size": batch, "sampling_steps": 16, "compile": compiled, "sampling_compile": compiled}
    parts = {"encoder": 0.015, "head": 0.005} if method == "emigm" else {"blocks": 0.02}
    origin = {"device": "a core (1 thread)"}
    return Speed(
        f"{method}{batch}{compiled}", method, recipe, {**COSTS, **costs}, parts, {"scoring": "no weights"}, origin
    )


def test_a_table_for_each_stage_says_what_was_measured() -> None:
    tables = speed_tables([speed(), speed("maskgit"), speed(compiled="on")])
    assert list(tables) == ["training", "sampling"]
    assert tables["training"].iloc[0].to_dict() == {
        "method": "emigm", "batch": "64", "compile": "off", "images/s": "1000", "ms/step": "64", "of matrix rate": "42%",
    }  # fmt: skip
    # Steps and devices do not differ, and nothing has a part of another's.
    sampling = tables["sampling"]
    assert list(sampling) == ["method", "batch", "compile", "ms/image", "encoder", "head", "blocks"]
    assert sampling[["encoder", "head", "blocks"]].to_numpy().tolist() == [
        ["75%", "25%", ""],
        ["", "", "100%"],
        ["75%", "25%", ""],
    ]
    assert reasons([speed(), speed()]) == ["emigm: no scoring: no weights"]


def test_a_setting_stands_in_the_table_of_what_it_decides() -> None:
    usual, short = speed(), speed(compiled="on")
    short.recipe.update({"compile": "off", "sampling_precision": "bfloat16"})
    tables = speed_tables([usual, short])
    assert list(tables["training"]) == ["method", "batch", "images/s", "ms/step", "of matrix rate"]
    assert tables["sampling"]["compile"].tolist() == ["off", "on"]
    assert tables["sampling"]["precision"].tolist() == ["", "bfloat16"]


def test_measurements_stand_by_method_and_batch(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    for one in (speed("maskgit"), speed(batch=128), speed(batch=8)):
        save_speed(layout, one)
    assert [(one.method, one.recipe["batch_size"]) for one in stored_speeds(layout)] == [
        ("emigm", 8),
        ("emigm", 128),
        ("maskgit", 64),
    ]


@pytest.mark.parametrize("measured", [True, False])
def test_the_page_shows_the_speed_of_the_methods_that_it_shows(tmp_path: Path, measured: bool) -> None:
    store(tmp_path, record("emigm", 4), record("emigm", 8))
    save_speed(Layout(tmp_path), speed("emigm" if measured else "maskgit"))
    page = write_report(read_stored(tmp_path), tmp_path / "report").read_text(encoding="utf-8")
    assert ('id="speed"' in page) == measured
    assert ("on a core (1 thread)" in page) == measured
    assert ("emigm: no scoring: no weights" in page) == measured
