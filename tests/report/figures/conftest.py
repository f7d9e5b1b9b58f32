"""Stored results of five methods, read once."""

import pytest

from mgbench.report.frame import read_results
from tests.report.synthetic import grid, store, store_curve, store_film, store_images, store_nearest, store_schedules


@pytest.fixture(scope="session")
def results(tmp_path_factory):
    root = tmp_path_factory.mktemp("results")
    records = grid()
    store(root, *records)
    for item in records:
        if item.recipe["seed"] == 0:
            store_images(root, item)
            store_curve(root, item)
            store_film(root, item)
            store_schedules(root, item)
            store_nearest(root, item)
    return root


@pytest.fixture
def frame(results):
    return read_results(results)
