import base64
import hashlib
import html
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from mgbench.errors import UserError
from mgbench.results.layout import Layout
from tests.report.synthetic import EVIL, record, report_of, store, store_study, tokenizer, unfinished


class Tags(HTMLParser):
    """Every tag of a page with its attributes."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def data_of(page):
    """What the page's script reads."""
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text(), re.S)[1])


def test_everything_is_written(report):
    written = {str(path.relative_to(report.parent)) for path in report.parent.rglob("*") if path.is_file()}
    shown = {a["id"] for tag, a in Tags(report.read_text()).found if tag == "figure"}
    assert {
        "index.html",
        "table.csv",
        "figures/fid-versus-nfe.svg",
        "figures/training.pdf",
        "sheets/steps.png",
    } <= written
    assert {name.rpartition(".")[0].replace("/", "-") for name in written if name.endswith(".png")} == shown
    drawn = ("fid-versus-nfe", "fid-versus-seconds", "kid-versus-nfe", "accuracy-versus-nfe", "training", "stages")
    assert {f"figures/{stem}.{kind}" for stem in drawn for kind in ("png", "svg", "pdf")} <= written


def test_names_from_outside_stay_text(report):
    tags = Tags(report.read_text()).found
    assert html.escape(EVIL) in report.read_text().replace("&#34;", "&quot;").replace("&#39;", "&#x27;")
    assert not any(name.startswith("on") for _, attributes in tags for name in attributes)
    assert not any(attributes.get("src") == "x" for _, attributes in tags)


def test_only_our_own_scripts_may_run_and_nothing_may_be_loaded(report):
    tags = Tags(report.read_text()).found
    policy = next(a["content"] for tag, a in tags if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy.partition("script-src")[2]
    scripts = re.findall(r"<script>(.*?)</script>", report.read_text(), re.S)
    hashes = {base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts}
    assert hashes == set(re.findall(r"'sha256-([^']+)'", policy))


def test_no_name_ends_the_data_early(tmp_path):
    name = "</script><script>alert(1)</script><!-- \u2028"
    page = report_of(store(tmp_path / "results", record(name, scores={})), tmp_path / "out")
    data = data_of(page)
    assert data["grids"]["rows"]["columns"][0]["texts"] == [name]
    assert page.read_text().count("alert(1)</script>") == 0


def test_nothing_is_fetched_and_every_picture_says_what_it_shows(report):
    tags = Tags(report.read_text()).found
    places = [attributes[name] for _, attributes in tags for name in ("src", "srcset", "href") if name in attributes]
    assert all(place.startswith(("data:", "#")) or place == "table.csv" for place in places)
    drawn = [attributes for tag, attributes in tags if tag == "svg"]
    assert len(drawn) == sum(tag == "figure" for tag, _ in tags)
    assert all(len(attributes["aria-label"]) > 40 and attributes["role"] == "img" for attributes in drawn)


def test_the_page_says_what_was_found_and_why_the_rest_was_not(report):
    text = report.read_text()
    for said in (
        "Key findings",
        "Real images score 6.3",
        "95 % interval of their difference, paired by seed",
        "no codes",
        "few images",
        "digits_cnn@3f2a",
        "2.11.0",
    ):
        assert said in text, said


def test_a_study_of_one_row_is_reported(tmp_path):
    item = record()
    store_study(store(tmp_path / "results", item, record("maskgit")), "one", [(item.key, "emigm")])
    text = report_of(tmp_path / "results", tmp_path / "out", "one", title="Just one").read_text()
    assert "<h1>Just one</h1>" in text
    assert "maskgit" not in text
    assert 'id="samples"' not in text


def test_a_study_of_failures_is_reported(tmp_path):
    rows = [unfinished("emigm", steps, 0, "failed", "no memory") for steps in (1, 2)]
    text = report_of(store(tmp_path / "results", *rows), tmp_path / "out").read_text()
    assert "No row has finished yet." in text
    assert "no memory" in text
    assert 'id="figures"' not in text


def test_whatever_is_not_done_is_listed_and_counted_tokenizers_too(tmp_path):
    fitted = replace(tokenizer("vq(codes=64)"), status="oom", reason="no memory left", scores={}, costs={}, protocol="")
    rows = [record("emigm", 1), unfinished("maskgit", 4, 0, "timeout", "it took too long"), fitted]
    text = report_of(store(tmp_path / "results", *rows), tmp_path / "out").read_text()
    section = text.partition('id="unfinished"')[2].partition("</section>")[0]
    for said in ("timeout", "it took too long", "oom", "tokenizer vq(codes=64)", "no memory left"):
        assert said in section, said
    counts = text.partition('class="counts"')[2].partition("</ul>")[0]
    assert "<b>1</b> timeout" in counts
    assert "<b>1</b> tokenizers oom" in counts


def test_a_corrupt_record_is_said_on_the_page(tmp_path):
    store(tmp_path / "results", record("emigm", 1), record("emigm", 2))
    (Layout(tmp_path / "results").run(record("emigm", 2).key) / "record.json").write_text("{")
    with pytest.warns(UserWarning, match="left out"):
        page = report_of(tmp_path / "results", tmp_path / "out")
    assert "1 stored record could not be read" in page.read_text()


def test_a_mismatch_is_refused_before_anything_is_written_or_marked(tmp_path):
    rows = [record("emigm", 8), replace(record("maskgit", 8), protocol="other/n50")]
    store(tmp_path / "results", *rows)
    with pytest.raises(UserError, match="not comparable"):
        report_of(tmp_path / "results", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    text = report_of(tmp_path / "results", tmp_path / "out", allow_mismatch=True).read_text()
    assert "maskgit †1" in text
    assert "protocol †1" in text


def test_no_records_is_an_error(tmp_path):
    (tmp_path / "results" / "runs").mkdir(parents=True)
    with pytest.raises(UserError, match="no record"):
        report_of(tmp_path / "results", tmp_path / "out")


def test_rows_about_tokenizers_have_a_table_of_their_own(tmp_path):
    rows = [record("emigm", 4, scores={}, floors={}), record("floor", recipe={"tokenizer": "kmeans(codes=64)"})]
    rows[1] = replace(rows[1], about="tokenizer", scores={"rmse": 3.25}, floors={}, costs={"codes_used": 0.5})
    page = report_of(store(tmp_path / "results", *rows), tmp_path / "out")
    section = page.read_text().partition('id="tokenizers"')[2].partition("</section>")[0]
    for said in ("Tokenizers: reconstruction is the floor", "kmeans(codes=64)", "3.25", "codes used"):
        assert said in section, said
    columns = {column["head"]: column["texts"] for column in data_of(page)["grids"]["rows"]["columns"]}
    assert columns["series"] == ["emigm"]
    assert "RMSE (grey levels)" not in columns
    alone = report_of(store(tmp_path / "plain", rows[0]), tmp_path / "without").read_text()
    assert 'id="tokenizers"' not in alone


def test_a_study_of_tokenizers_alone_is_reported(tmp_path):
    row = replace(record("floor"), about="tokenizer", scores={"rmse": 3.25}, floors={}, costs={})
    text = report_of(store(tmp_path / "results", row), tmp_path / "out").read_text()
    assert 'id="tokenizers"' in text
    assert 'id="numbers"' not in text
    assert 'id="findings"' not in text


def test_of_many_problems_the_first_are_listed_and_the_others_counted(tmp_path):
    rows = [unfinished("emigm", 1, seed, "failed", f"reason {seed}") for seed in range(60)]
    text = report_of(store(tmp_path / "results", *rows), tmp_path / "out").read_text()
    assert text.count('class="reason"') == 40
    assert "And 20 more" in text
