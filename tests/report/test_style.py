"""Labels of axes fit their axes."""

from itertools import pairwise

import pytest

from mgbench.report.figures.guidance import guidance_panels
from mgbench.report.frame import read_results
from mgbench.report.style import axis_label, letters
from tests.report import synthetic

NAME = "Accuracy[digits_cnn] (N = 500, higher is better)"


@pytest.mark.parametrize("inches", [1.8, 2.2, 3.0, 9.0])
def test_what_is_in_brackets_begins_a_line_where_the_whole_does_not_fit(inches: float) -> None:
    lines = axis_label(NAME, inches).split("\n")
    assert all(len(line) <= letters(inches) for line in lines)
    assert " ".join(lines).replace("\u00a0", " ") == NAME
    assert len(lines) == 1 or "Accuracy[digits_cnn]" in lines
    assert sum("N\u00a0=\u00a0500" in line or "N = 500" in line for line in lines) == 1


def test_labels_of_panels_above_each_other_are_apart(tmp_path) -> None:
    frame = read_results(synthetic.store(tmp_path, *synthetic.sweep(seeds=(0,))))
    figure = guidance_panels(frame, ["fid[digits_cnn]", "accuracy[digits_cnn]"])
    figure.draw_without_rendering()
    boxes = [axes.yaxis.label.get_window_extent() for axes in figure.axes]
    assert all(above.y0 > below.y1 for above, below in pairwise(boxes))
    for box, axes in zip(boxes, figure.axes, strict=True):
        assert box.height <= 1.05 * axes.get_window_extent().height
