"""The page as it is used: opened in a browser, at two widths, in light and dark, with a mouse and with keys."""

import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from mgbench.report import read_published, read_results, write_published, write_report
from mgbench.report.stored import Stored
from mgbench.report.summary import mark_protocols
from mgbench.results.layout import Layout
from tests.report.synthetic import EVIL, FID, grid, record, report_of, store, unfinished

WIDTHS, SCHEMES = (400, 1600), ("light", "dark")
TABS = ("best", "means", "rows")


def plain(method):
    """A row with one score, which is drawn quickly."""
    return record(method, scores={FID: 30.0}, floors={})


class Looked:
    """A page that is open, with all it said and asked for."""

    def __init__(self, browser, path, width=1600, scheme="light", remembered=None):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        for name, value in (remembered or {}).items():
            context.add_init_script(f"localStorage.setItem({name!r}, {value!r})")
        self.page = context.new_page()
        self.page.set_default_timeout(20_000)
        self.said, self.asked = [], []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(Path(path).as_uri())

    def text(self, selector):
        return self.page.inner_text(selector)

    def sorted_by(self, table, direction):
        """Wait until a table is sorted, which it does when the browser comes to it."""
        self.page.locator(f"#grid-{table} th[aria-sort={direction}]").wait_for()

    def column(self, table, head):
        """The texts of a column on the page that is shown."""
        heads = [text.strip() for text in self.page.locator(f"#grid-{table} thead th").all_inner_texts()]
        rows = self.page.locator(f"#grid-{table} tbody tr:not(.details) > td:nth-child({heads.index(head) + 1})")
        return [text.strip() for text in rows.all_inner_texts()]

    def check(self):
        """Nothing was said, nothing but the file itself was asked for, and nothing hangs out at the side."""
        assert self.said == []
        assert [url for url in self.asked if not re.match("(file|data|blob):", url)] == []
        assert self.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.fixture
def look(browser):
    opened = []

    def open_page(path, *how, **more):
        opened.append(Looked(browser, path, *how, **more))
        return opened[-1]

    yield open_page
    for looked in opened:
        looked.check()
        looked.page.context.close()


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return write_published("imagenet-256", tmp_path_factory.mktemp("published"))


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_all_of_it_is_shown_without_errors_requests_or_overflow(report, look, width, scheme):
    looked = look(report, width, scheme)
    assert looked.page.evaluate("[...document.images].every(image => !image.src || image.naturalWidth > 0)")
    for table in TABS:
        looked.page.click(f"#tab-{table}")
        looked.page.click(f"#grid-{table} button.more")
        looked.page.click(f"#grid-{table} .menu summary")
        looked.check()
    looked.page.keyboard.press("Escape")
    looked.page.click("button.enlarge >> nth=-1")
    assert looked.page.locator("#viewer").is_visible()
    assert looked.page.title() == "all"


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_of_published_numbers_too(published, look, width, scheme):
    looked = look(published, width, scheme)
    looked.page.click("#grid-published button.more")
    assert "arXiv:2503.07197" in looked.text(".detail")
    assert looked.text("#grid-published .dt-info").startswith(f"1 to 25 of {len(read_published('imagenet-256').rows)}")


def test_a_click_on_a_head_sorts_by_numbers_and_puts_what_is_missing_last(report, look):
    looked = look(report)
    looked.page.click("#tab-rows")
    head = looked.page.locator("#grid-rows thead th", has_text="FID")
    for direction in (1, -1):
        head.click()
        looked.sorted_by("rows", "ascending" if direction > 0 else "descending")
        looked.page.select_option("#grid-rows .dt-length select", "100")
        values = looked.column("rows", "FID[digits_cnn]")
        numbers = [float(value) for value in values if value != "–"]
        assert values[-2:] == ["–", "–"]
        assert numbers == sorted(numbers, reverse=direction < 0)


def test_search_and_menus_filter(report, look):
    looked = look(report)
    looked.page.click("#tab-rows")
    looked.page.fill("#grid-rows input[type=search]", "emigm-unguided")
    assert set(looked.column("rows", "series")) == {"emigm-unguided"}
    assert looked.text("#grid-rows .dt-info") == "1 to 6 of 6 rows (of 33)"
    looked.page.locator("#grid-rows .facet", has_text="steps").locator("select").select_option("16")
    assert looked.column("rows", "steps") == ["16", "16"]
    looked.page.fill("#grid-rows input[type=search]", "nothing like that")
    assert "No row is like that." in looked.text("#grid-rows tbody")


def test_columns_can_be_hidden_and_hidden_ones_shown(report, look):
    looked = look(report)
    looked.page.click("#tab-means")
    heads = looked.page.locator("#grid-means thead th")
    assert not [text for text in heads.all_inner_texts() if "low" in text]
    looked.page.click("#grid-means .menu summary")
    looked.page.get_by_role("checkbox", name="FID[digits_cnn] low").check()
    looked.page.get_by_role("checkbox", name="NFE", exact=True).uncheck()
    shown = [text.strip() for text in heads.all_inner_texts()]
    assert "FID[digits_cnn] low" in shown
    assert "NFE" not in shown


def test_what_is_shown_is_exported_as_it_is_filtered_and_sorted(report, look):
    looked = look(report)
    looked.page.click("#tab-rows")
    looked.page.fill("#grid-rows input[type=search]", "maskgit")
    looked.page.locator("#grid-rows thead th", has_text="KID").click()
    looked.sorted_by("rows", "ascending")
    with looked.page.expect_download() as download:
        looked.page.click("#grid-rows .csv")
    assert download.value.suggested_filename == "all-rows.csv"
    text = Path(download.value.path()).read_text(encoding="utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert {row["series"] for row in rows} == {"maskgit", "maskgit-unlabelled"}
    assert len(rows) == 12
    kids = [float(row["KID[digits_cnn]"]) for row in rows]
    assert kids == sorted(kids)
    assert "reason" not in rows[0]


def test_a_formula_is_exported_as_text(tmp_path, look):
    looked = look(report_of(store(tmp_path / "results", plain('=1+1,"x"'), plain("emigm")), tmp_path / "out"))
    with looked.page.expect_download() as download:
        looked.page.click(".panel:not([hidden]) .csv")
    rows = list(csv.reader(io.StringIO(Path(download.value.path()).read_text(encoding="utf-8-sig"))))
    assert '\'=1+1,"x"' in [row[0] for row in rows]


def test_a_row_opens_to_recipe_protocol_environment_and_the_command_that_repeats_it(report, look):
    looked = look(report)
    looked.page.click("#tab-rows")
    button = looked.page.locator("#grid-rows button.more").first
    button.click()
    detail = looked.text("#grid-rows .detail")
    for said in ("exp(rate=5.0)", "digits_cnn@3f2a", "2.11.0", "cpu (2 cores)", "few images", "real images"):
        assert said in detail, said
    assert "mgbench run --plugins emigm,maskgit --methods emigm --seeds 0 --set sampling_steps=1" in detail
    assert button.get_attribute("aria-expanded") == "true"
    button.click()
    assert not looked.page.locator("#grid-rows .detail").count()
    looked.page.click("#tab-means")
    looked.page.locator("#grid-means button.more").first.click()
    assert "--seeds 0" in looked.text("#grid-means .detail")
    assert "--seeds 1" in looked.text("#grid-means .detail")


def test_a_failed_row_opens_to_its_reason(tmp_path, look):
    rows = [unfinished("emigm", steps, 0, "failed", f"no memory at {steps}") for steps in (1, 2)]
    looked = look(report_of(store(tmp_path / "results", *rows), tmp_path / "out"), 400)
    assert "No row has finished yet." in looked.text("header")
    assert "no memory at 2" in looked.text("#unfinished")
    assert not looked.page.locator("#figures").count()
    looked.page.click("#tab-rows")
    looked.page.locator("#grid-rows button.more").last.click()
    assert "no memory at 2" in looked.text("#grid-rows .detail")


def test_a_study_of_one_row_has_no_section_without_data(tmp_path, look):
    looked = look(report_of(store(tmp_path / "results", plain("emigm")), tmp_path / "out"), 400)
    places = [link.strip("#") for link in looked.page.eval_on_selector_all("nav a", "all => all.map(a => a.hash)")]
    assert places == [place.get_attribute("id") for place in looked.page.locator("main > section").all()]
    for absent in ("samples", "tokenizers", "unfinished", "warnings", "published", "tab-best"):
        assert not looked.page.locator(f"#{absent}").count(), absent
    assert looked.column("means", "steps") == ["8"]


def test_names_from_outside_do_nothing(report, look):
    looked = look(report)
    looked.page.click("#tab-rows")
    looked.page.fill("#grid-rows input[type=search]", "img src")
    for button in looked.page.locator("#grid-rows button.more").all():
        button.click()
    looked.page.click("#grid-rows .menu summary")
    assert looked.column("rows", "series") == [EVIL, EVIL]
    assert looked.page.title() == "all"
    assert not looked.page.locator("img[src=x]").count()


def test_pictures_enlarge_follow_each_other_and_close_with_keys(report, look):
    looked = look(report)
    sheet = looked.page.locator("button.enlarge[data-title='Samples at 4 steps']")
    sheet.focus()
    looked.page.keyboard.press("Enter")
    assert looked.text("#viewer-title") == "Samples at 4 steps"
    assert looked.page.evaluate("document.querySelector('#viewer img').alt").startswith("Sheet of sample images")
    looked.page.keyboard.press("ArrowRight")
    following = looked.page.locator("button.enlarge").evaluate_all("all => all.map(each => each.dataset.title)")
    assert looked.text("#viewer-title") == following[following.index("Samples at 4 steps") + 1]
    looked.page.keyboard.press("Escape")
    assert not looked.page.locator("#viewer").is_visible()
    assert sheet.evaluate("node => node === document.activeElement")


def test_keys_are_enough(report, look):
    looked = look(report)
    keys = looked.page.keyboard
    keys.press("Tab")
    assert looked.page.evaluate("document.activeElement.className") == "skip"
    looked.page.focus("#tab-best")
    keys.press("ArrowRight")
    assert looked.page.get_attribute("#tab-means", "aria-selected") == "true"
    assert not looked.page.locator("#panel-best").is_visible()
    looked.page.focus("#grid-means .menu summary")
    keys.press("Enter")
    keys.press("Tab")
    keys.press("Space")
    assert "series" not in [text.strip() for text in looked.page.locator("#grid-means thead th").all_inner_texts()]
    keys.press("Escape")
    assert looked.page.evaluate("document.activeElement.tagName") == "SUMMARY"
    looked.page.locator("#grid-means thead th [role=button]").first.focus()
    keys.press("Enter")
    looked.sorted_by("means", "ascending")
    looked.page.locator("#grid-means button.more").first.focus()
    keys.press("Enter")
    assert looked.page.locator("#grid-means .detail").is_visible()


def test_the_theme_can_be_chosen_and_pictures_follow(report, look):
    looked = look(report, scheme="light")
    ground = "getComputedStyle(document.body).backgroundColor"
    shown = "getComputedStyle(document.querySelector('.enlarge svg path[style*=fill]')).fill"
    before = [looked.page.evaluate(what) for what in (ground, shown)]
    looked.page.click("#theme")
    after = [looked.page.evaluate(what) for what in (ground, shown)]
    assert all(one != other for one, other in zip(before, after, strict=True))
    assert looked.page.get_attribute("#theme", "aria-pressed") == "true"
    assert looked.page.evaluate("localStorage.getItem('mgbench-theme')") == "dark"
    for dark in (look(report, scheme="dark"), look(report, remembered={"mgbench-theme": "dark"})):
        assert [dark.page.evaluate(what) for what in (ground, shown)] == after


def test_ten_thousand_rows_are_paged(tmp_path, look, monkeypatch):
    """The rows of a small study many times over, without the figures, which are not what is looked at here."""
    frame = read_results(store(tmp_path / "results", *grid(seeds=(0, 1))[:50]))
    times = [frame.assign(batch_size=size, series=f"emigm, batch_size={size}") for size in range(1, 201)]
    many = pd.concat(times, ignore_index=True)
    many.attrs.update(frame.attrs)
    monkeypatch.setattr("mgbench.report.page.report.gallery", lambda _: [])
    stored = Stored(mark_protocols(many), Layout(tmp_path / "results"))
    looked = look(write_report(stored, tmp_path / "out"), 400)
    assert "10,000 rows" in looked.text(".counts").replace("\n", " ")
    looked.page.click("#tab-rows")
    assert looked.page.locator("#grid-rows tbody tr").count() == 25
    assert looked.text("#grid-rows .dt-info") == "1 to 25 of 10,000 rows"
    looked.page.locator("#grid-rows").get_by_label("Last", exact=True).click()
    assert looked.text("#grid-rows .dt-info") == "9,976 to 10,000 of 10,000 rows"
    looked.page.fill("#grid-rows input[type=search]", "batch_size=137")
    assert looked.text("#grid-rows .dt-info").startswith("1 to 25 of 50 rows")


def costly(steps, seed):
    item = record("emigm", steps, seed)
    return replace(item, costs={**item.costs, "flops_per_image": 1e6 * item.costs["nfe"]})


@pytest.fixture(scope="module")
def views(tmp_path_factory):
    root = tmp_path_factory.mktemp("views")
    store(root, *(costly(steps, seed) for steps in (4, 8) for seed in (0, 1)))
    return report_of(root, root / "page")


def test_one_view_of_the_main_figure_is_shown_and_the_address_keeps_it(views, look):
    looked = look(views)
    shown = "#main-figure .card:visible"
    assert looked.page.locator("#main-figure [role=tab]").first.inner_text() == "NFE"
    assert looked.page.locator(shown).get_attribute("id") == "figures-fid-versus-nfe"
    looked.page.click("#main-figure [role=tab] >> nth=1")
    chosen = looked.page.locator(shown).get_attribute("id")
    assert chosen == "figures-fid-versus-flops"
    looked.page.reload()
    assert looked.page.locator(shown).get_attribute("id") == chosen
    assert looked.said == []


def test_the_address_keeps_table_search_order_and_filter(views, look):
    looked = look(views)
    looked.page.click("[role=tab][data-grid=rows]")
    looked.page.fill("#grid-rows input[type=search]", "emigm")
    looked.page.select_option("#grid-rows .facet:has-text('seed') select", "1")
    looked.page.click("#grid-rows th:has-text('steps')")
    looked.sorted_by("rows", "ascending")
    looked.page.reload()
    looked.sorted_by("rows", "ascending")
    assert looked.page.input_value("#grid-rows input[type=search]") == "emigm"
    assert looked.column("rows", "seed") == ["1", "1"]
    assert looked.said == []


def test_a_point_tells_its_row_where_a_pointer_rests(views, look):
    said = look(views).page.locator("#figures-fid-versus-nfe use title").all_text_contents()
    assert len(said) == 2
    assert said[0].startswith("emigm: FID[digits_cnn] ")
    assert "; 4 steps, NFE 6.40; 2 seeds" in said[0]


def test_a_figure_is_resized_by_its_corner(browser, report):
    seen = Looked(browser, report)
    seen.page.set_viewport_size({"width": 1600, "height": 1600})
    figure = seen.page.locator(".main-figure .card .scroll").first
    figure.scroll_into_view_if_needed()
    before = figure.bounding_box()
    drawing = seen.page.locator(".main-figure .card .scroll svg").first
    corner = (before["x"] + before["width"] - 4, before["y"] + before["height"] - 4)
    seen.page.mouse.move(*corner)
    seen.page.mouse.down()
    seen.page.mouse.move(corner[0] - 300, corner[1], steps=4)
    seen.page.mouse.up()
    assert figure.bounding_box()["width"] == pytest.approx(before["width"] - 300, abs=20)
    assert drawing.bounding_box()["width"] <= figure.bounding_box()["width"]
    seen.check()
