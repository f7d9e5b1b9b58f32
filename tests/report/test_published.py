"""Published numbers: what is shipped, how it is drawn, and when one's own rows may stand beside it."""

import csv
import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.text import Text

from mgbench.errors import UserError
from mgbench.report import published
from mgbench.report.frame import read_results
from mgbench.report.published.data import GROUPS, KNOWN, UNSTATED, read_published
from mgbench.report.published.figure import SUPERSCRIPTS, published_figure
from mgbench.report.published.overlay import differences, overlay
from mgbench.report.published.page import write_published
from tests.report.figures.test_placement import overlapping
from tests.report.synthetic import record, report_of, store

SETS = ("imagenet-256", "imagenet-512", "imagenet-384")
SAME = "image_folder(path='/data/ImageNet')@ab12cd34/train1281167/n50000/balanced/uint8/256x256/inception@91fc"


def shipped(name):
    with (Path(published.__file__).parent / name).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_row_is_whole_sourced_and_of_a_known_family():
    rows = shipped("published.csv")
    assert len(rows) == 209
    assert all(None not in row and row["source"] and row["model"] and row["series"] for row in rows)
    assert {row["family"] for row in rows} == set(GROUPS)
    assert {row["guidance"] for row in rows} == {*KNOWN, UNSTATED}
    assert all(1 < float(row["fid"]) < 40 for row in rows)
    assert sum(len(read_published(name).rows) for name in SETS) == len(rows)


def test_every_trap_is_used_and_every_remark_on_a_count_has_one():
    rows, traps = shipped("published.csv"), {row["trap"] for row in shipped("traps.csv")}
    assert {name for row in rows for name in row["traps"].split()} == traps
    plain = re.compile(r"[\dx]+( steps)?( \(CFG 1\.5\))?")
    assert [row["model"] for row in rows if not row["traps"] and not plain.fullmatch(row["nfe_note"])] == []


def test_known_numbers_are_there():
    rows = read_published("imagenet-256").rows.set_index("model")
    assert rows.loc["DiT-XL/2-G", ["nfe", "fid", "params_millions"]].tolist() == [500, 2.27, 675]
    assert rows.loc["MAR-H", ["nfe", "fid"]].to_numpy().tolist() == [[512, 1.55], [256, 2.35], [128, 1.59]]
    assert rows.loc["iMF-XL", ["nfe", "fid"]].to_numpy().tolist() == [[1, 1.70], [2, 1.53]]
    assert rows.loc["LazyMAR-H", "fid"] == 1.69
    assert rows.loc["RAE + DiT-DH-XL", "fid"].tolist() == [1.51, 1.13]
    assert read_published("imagenet-512").rows.set_index("model").loc["EDM2-XXL + autoguidance", "fid"] == 1.25


def test_one_forward_is_drawn_and_statistics_of_their_own_are_marked():
    drawn = read_published("imagenet-256").drawn
    least = drawn[drawn["nfe"] == 1]
    assert {"iMF", "pMF", "Drift", "BigGAN"} <= set(least["series"])
    marked = {name: "own-statistics" in traps for name, traps in zip(least["series"], least["traps"], strict=True)}
    assert marked == {name: name != "BigGAN" for name in marked}


def test_what_no_source_calls_guided_or_unguided_is_in_no_panel():
    data = read_published("imagenet-256")
    unstated = data.rows[data.rows["guidance"] == UNSTATED]
    assert {"BitDance", "MaskGIL", "Di[M]O"} == set(unstated["series"])
    assert all("no-guidance" in traps for traps in unstated["traps"])
    assert not set(unstated["series"]) & set(data.drawn["series"])


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(UserError, match="did you mean 'imagenet-512'"):
        read_published("imagnet512")


def names(axes):
    return [text for text in axes.texts if text.get_gid() == "name"]


@pytest.fixture(scope="module", params=SETS)
def drawn(request):
    figure = published_figure(read_published(request.param))
    figure.draw_without_rendering()
    return read_published(request.param), figure


def test_every_row_with_both_numbers_is_a_point_in_the_panel_of_its_guidance(drawn):
    data, figure = drawn
    for axes in figure.axes:
        rows = data.drawn[data.drawn["guided"] == (axes.get_title(loc="left") == "With guidance")]
        points = [line.get_xydata() for line in axes.lines if line.get_gid() == "points"]
        expected = rows[["nfe", "fid"]].to_numpy(float)
        np.testing.assert_array_equal(sorted(map(tuple, np.concatenate(points))), sorted(map(tuple, expected)))
    assert sum(
        len(line.get_xdata()) for axes in figure.axes for line in axes.lines if line.get_gid() == "points"
    ) == len(data.drawn)


def test_every_series_is_named_and_no_name_covers_another_or_leaves_its_panel(drawn):
    data, figure = drawn
    for axes in figure.axes:
        rows = data.drawn[data.drawn["guided"] == (axes.get_title(loc="left") == "With guidance")]
        written = [text.get_text().rstrip("⁰¹²³⁴⁵⁶⁷⁸⁹ ") for text in names(axes)]
        assert sorted(written) == sorted(rows["series"].unique())
        # The text alone, without the line that leads to its point.
        boxes = [Text.get_window_extent(text).extents for text in names(axes)]
        assert overlapping(boxes) == []
        left, bottom, right, top = axes.bbox.extents
        assert all(b[0] > left and b[1] > bottom and b[2] < right and b[3] < top for b in boxes)


def test_the_number_beside_a_name_is_that_of_its_footnote(drawn):
    data, figure = drawn
    numbers = data.numbered()
    assert list(numbers.values()) == list(range(1, len(numbers) + 1))
    for axes in figure.axes:
        rows = data.drawn[data.drawn["guided"] == (axes.get_title(loc="left") == "With guidance")]
        for text in names(axes):
            name, *marks = re.split(r" (?=[⁰¹²³⁴⁵⁶⁷⁸⁹])", text.get_text())
            traps = set(itertools.chain(*rows.loc[rows["series"] == name, "traps"]))
            assert marks == [str(n).translate(SUPERSCRIPTS) for n in sorted(numbers[t] for t in traps if t in numbers)]
    said = " ".join(" ".join(text.get_text() for text in figure.texts if text.get_gid() == "notes").split())
    assert all(f"{number} {data.text_of(name)}" in said for name, number in numbers.items())


@pytest.mark.parametrize(
    ("protocol", "said"),
    [
        (SAME, []),
        (SAME.replace("91fc", "0000"), []),
        (SAME.replace("256x256", "512x512"), ["they have 512×512 pixels instead of 256×256"]),
        (SAME.replace("256x256", "256x128"), ["they have 256×128 pixels instead of 256×256"]),
        (SAME.replace("ImageNet", "flowers"), ["they are of image_folder(path='/data/flowers')"]),
        (SAME.replace("n50000", "n500"), ["they are scored on 500 images instead of 50,000"]),
        (SAME.replace("inception@91fc", "digits_cnn@3f2a"), ["their extractor is digits_cnn instead of inception"]),
        ("", ["their protocol is not recorded"]),
        ("something else", ["their protocol is not recorded"]),
    ],
)
def test_a_protocol_is_the_same_or_it_is_said_in_what_it_differs(protocol, said):
    assert list(differences(protocol, read_published("imagenet-256"))) == said


def own(steps, seed, **changes):
    given = {"protocol": SAME, "scores": {"fid": 4.0 + seed}, "floors": {}, "costs": {"nfe": 1.5 * steps}}
    return record("mine", steps, seed, **{**given, **changes})


def test_rows_of_the_same_protocol_are_laid_over_at_their_means(tmp_path):
    rows = [own(steps, seed) for steps in (4, 8) for seed in (0, 1)] + [own(16, 0, protocol=SAME.replace("50000", "9"))]
    found = overlay(read_results(store(tmp_path, *rows)), "imagenet-256")
    assert found.sentence.startswith("4 of your rows have the protocol")
    assert "; 1 has another and is left out." in found.sentence
    (picture,) = found.pictures
    assert "mine" in picture.alt
    figure = picture.draw()
    guided = figure.axes[0]
    stars = next(line for line in guided.lines if line.get_marker() == "*")
    np.testing.assert_allclose(stars.get_xydata(), [[6.0, 4.5], [12.0, 4.5]])
    assert "mine (yours)" in [text.get_text() for text in names(guided)]
    assert "mine (yours)" not in [text.get_text() for text in names(figure.axes[1])]


def test_rows_that_took_no_more_forwards_than_steps_are_unguided(tmp_path):
    found = overlay(read_results(store(tmp_path, own(8, 0, costs={"nfe": 8.0}))), "imagenet-256")
    figure = found.pictures[0].draw()
    assert [axes.get_title(loc="left") for axes in figure.axes if any(li.get_marker() == "*" for li in axes.lines)] == [
        "Without guidance"
    ]


def test_rows_of_another_protocol_are_not_laid_over_and_the_page_says_why(tmp_path):
    results = store(tmp_path / "results", record("emigm", 8, scores={}))
    page = report_of(results, tmp_path / "out", published="imagenet-256")
    text = " ".join(page.read_text().split())
    assert "None of your rows is added to the published numbers of ImageNet 256×256" in text
    assert "because their protocol is not recorded" in text or "they are of digits" in text
    assert not (tmp_path / "out" / "figures" / "imagenet-256.png").exists()


def test_without_a_row_that_finished_nothing_is_laid_over(tmp_path):
    frame = read_results(store(tmp_path, own(8, 0, status="failed", scores={}, protocol="")))
    assert "no row has an FID" in overlay(frame, "imagenet-256").sentence


def test_the_report_has_the_figure_where_the_protocol_is_the_same(tmp_path):
    page = report_of(store(tmp_path / "results", own(8, 0)), tmp_path / "out", published="imagenet-256")
    assert 'id="figures-imagenet-256"' in page.read_text()
    assert (tmp_path / "out" / "figures" / "imagenet-256.png").stat().st_size > 10_000


def test_figure_files_and_a_page_are_written(tmp_path):
    page = write_published("imagenet-512", tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "imagenet-512.pdf", "imagenet-512.png", "imagenet-512.svg", "index.html",
    ]  # fmt: skip
    assert (tmp_path / "imagenet-512.pdf").read_bytes().startswith(b"%PDF")
    text = page.read_text()
    data = read_published("imagenet-512")
    assert text.count("<li id=") == len(data.numbered())
    assert "TiTok-B-128" in text.partition("Not drawn")[2].partition("</p>")[0]


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write .*file.*name another folder with -o"):
        write_published("imagenet-512", tmp_path / "file" / "inner")
