"""A drawing in a page: the colours of either ground, nothing that reaches beyond itself, the same lines."""

import re
import xml.etree.ElementTree as ET

import pytest

from mgbench.report.figures.picture import as_bytes
from mgbench.report.figures.tradeoff import metric_panels
from mgbench.report.frame import read_results
from mgbench.report.page.inline import inline, palette
from mgbench.report.style import COLOURS, DARK, LIGHT, WHITE, on_dark, readable
from tests.report.synthetic import EVIL, FID, grid, record, store


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    frame = read_results(store(tmp_path_factory.mktemp("results"), *grid(seeds=range(2)), record(EVIL, 4)))
    return as_bytes(metric_panels(frame, FID), "svg").decode()


def placed(svg):
    """Every number of every path; a path that is drawn twice, as its outline and itself, counts once."""
    found = [element.get("d", "") for element in ET.fromstring(svg).iter() if element.tag.endswith("path")]
    paths = [path for path, before in zip(found, [None, *found], strict=False) if path != before]
    return [float(number) for path in paths for number in re.findall(r"-?\d+\.?\d*", path)]


def test_every_colour_has_one_for_a_dark_page_and_none_has_two():
    pairs = on_dark()
    assert pairs[LIGHT.paper] == DARK.paper
    assert pairs[LIGHT.quiet] == DARK.quiet
    for light, dark in COLOURS:
        assert pairs[light] == pairs[readable(light)] == dark
    assert WHITE not in pairs, "text on a colour that stays stays too"
    assert len(pairs) == len(palette().split(";")) - 1


def test_a_drawing_in_a_page_has_the_same_lines_and_names_its_colours(drawn):
    text = inline(drawn, "it", "What is seen", (640, 400))
    assert placed(text) == pytest.approx(placed(drawn), abs=0.006)
    assert not set(re.findall(r"#[0-9a-f]{6}\b", text)) & set(on_dark())
    names = set(re.findall(r"var\((--[\w-]+)\)", text))
    assert names
    assert names <= set(re.findall(r"--[\w-]+", palette()))
    assert "paint-order:stroke" in text
    assert len(text) < 0.7 * len(drawn)


def test_what_a_drawing_refers_to_is_its_own(drawn):
    text = inline(drawn, "it", "What is seen", (640, 400))
    known = set(re.findall(r' id="([^"]*)"', text))
    referred = set(re.findall(r'(?:href="|url\()#([^")]*)', text))
    assert referred == known
    assert all(name.startswith("it-") for name in known)
    assert "<style" not in text
    assert "<!--" not in text


def test_words_are_escaped(drawn):
    text = inline(drawn, "it", f'"{EVIL}', (640, 400))
    assert "<img" not in text
    assert ET.fromstring(text).get("aria-label") == f'"{EVIL}'
