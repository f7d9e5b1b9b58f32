import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from mgbench.errors import UserError
from mgbench.record import Layout
from mgbench.report import write_report
from tests.report.synthetic import grid, record, store, store_curve, store_images, store_study, unfinished

EVIL = "<img src=x onerror=alert(1)>"


class Tags(HTMLParser):
    """Every tag of a page with its attributes."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
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
    store_study(root / "results", "all", [(item.key, item.method) for item in records], command=f"mgbench run {EVIL}")
    return write_report(root / "results", root / "report", "all")


def test_everything_is_written(report):
    written = {str(path.relative_to(report.parent)) for path in report.parent.rglob("*") if path.is_file()}
    drawn = ("fid-versus-nfe", "fid-versus-seconds", "kid-versus-nfe", "accuracy-versus-nfe", "training", "stages")
    assert {f"figures/{stem}.{kind}" for stem in drawn for kind in ("png", "svg", "pdf")} <= written
    assert {"index.html", "table.csv", "sheets/samples.png", "sheets/steps.png"} <= written


def test_names_from_outside_stay_text(report):
    tags = Tags(report.read_text()).found
    assert "&lt;img src=x" in report.read_text()
    assert not any("onerror" in attributes for _, attributes in tags)
    assert not any(tag == "script" for tag, _ in tags)


def test_nothing_is_fetched_and_every_picture_says_what_it_shows(report):
    tags = Tags(report.read_text()).found
    places = [attributes[name] for _, attributes in tags for name in ("src", "srcset", "href") if name in attributes]
    assert all(place.startswith(("data:", "#")) or place == "table.csv" for place in places)
    assert all(len(attributes["alt"]) > 40 for tag, attributes in tags if tag == "img")


def test_the_page_says_what_was_found_and_why_the_rest_was_not(report):
    text = report.read_text()
    for said in (
        "Key findings",
        "Real images score 6.3",
        "95 % intervals",
        "no codes",
        "few images",
        "digits_cnn@3f2a",
        "2.11.0",
    ):
        assert said in text, said


def test_a_study_of_one_row_is_reported(tmp_path):
    item = record()
    store_study(store(tmp_path / "results", item, record("maskgit")), "one", [(item.key, "emigm")])
    text = write_report(tmp_path / "results", tmp_path / "out", "one", title="Just one").read_text()
    assert "<h1>Just one</h1>" in text
    assert "maskgit" not in text
    assert 'id="samples"' not in text


def test_a_study_of_failures_is_reported(tmp_path):
    rows = [unfinished("emigm", steps, 0, "failed", "no memory") for steps in (1, 2)]
    text = write_report(store(tmp_path / "results", *rows), tmp_path / "out").read_text()
    assert "No row has finished yet." in text
    assert "no memory" in text
    assert 'id="figures"' not in text


def test_three_thousand_rows_are_reported(tmp_path):
    sizes, steps = range(1, 101), (1, 2, 4, 8, 16, 32)
    rows = [record("emigm", n, seed, recipe={"batch_size": b}) for seed in range(5) for b in sizes for n in steps]
    text = write_report(store(tmp_path / "results", *rows), tmp_path / "out").read_text()
    assert "<b>3,000</b> rows" in text


def test_a_corrupt_record_is_said_on_the_page(tmp_path):
    store(tmp_path / "results", record("emigm", 1), record("emigm", 2))
    (Layout(tmp_path / "results").run(record("emigm", 2).key) / "record.json").write_text("{")
    with pytest.warns(UserWarning, match="left out"):
        page = write_report(tmp_path / "results", tmp_path / "out")
    assert "1 stored record could not be read" in page.read_text()


def test_a_mismatch_is_refused_before_anything_is_written_or_marked(tmp_path):
    rows = [record("emigm", 8), replace(record("maskgit", 8), protocol="other/n50")]
    store(tmp_path / "results", *rows)
    with pytest.raises(UserError, match="not comparable"):
        write_report(tmp_path / "results", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    text = write_report(tmp_path / "results", tmp_path / "out", allow_mismatch=True).read_text()
    assert "maskgit †1" in text
    assert "protocol †1" in text


def test_no_records_is_an_error(tmp_path):
    (tmp_path / "results" / "runs").mkdir(parents=True)
    with pytest.raises(UserError, match="no record"):
        write_report(tmp_path / "results", tmp_path / "out")


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="the page is looked at with playwright")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no chromium to look at the page with")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--headless", "--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1600])
def test_a_browser_shows_it_without_errors_requests_or_overflow(report, browser, width, scheme):
    page = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme).new_page()
    errors, requests = [], []
    page.on("console", lambda message: errors.append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(report.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(item => item.open = true)")
    assert not errors
    assert all(re.match("file:|data:", url) for url in requests)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
