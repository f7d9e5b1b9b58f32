"""A page with everything on it, and the system's Chromium, headless, to look at pages with; once for all tests."""

import shutil
from dataclasses import replace

import pytest

from tests.report.synthetic import (
    EVIL,
    grid,
    record,
    report_of,
    store,
    store_curve,
    store_images,
    store_study,
    unfinished,
)

# It has a profile of its own for each test run and reaches for nothing.
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run",
)  # fmt: skip


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    api = pytest.importorskip("playwright.sync_api", reason="the page is looked at with playwright")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("there is no chromium to look at the page with")
    with api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=chromium, args=list(QUIET))
        yield found
        found.close()


@pytest.fixture(scope="session")
def report(tmp_path_factory):
    """A study with everything that a page can hold, and names that would like to be more than names."""
    root = tmp_path_factory.mktemp("everything")
    records = [replace(item, warnings=["few images"]) for item in grid(steps=(1, 4, 16), seeds=range(2))]
    records += [replace(record(EVIL, 4), warnings=[EVIL], origin={"device": EVIL, "command": EVIL})]
    records += [unfinished(EVIL, 8, 0, "failed", EVIL), unfinished("halton", 8, 0, "skipped", "no codes " * 40)]
    store(root / "results", *records)
    for item in records:
        if item.status == "done" and item.recipe["seed"] == 0:
            store_images(root / "results", item)
            store_curve(root / "results", item, 100)
    rows = [(item.key, item.method) for item in records]
    store_study(root / "results", "all", rows, command="mgbench run --plugins emigm,maskgit")
    return report_of(root / "results", root / "report", "all")
